"""SIGTERM and SIGINT, taken without running Python code in a signal handler.

A handler runs between two bytecodes of the main thread, which may hold the very lock that the
handler needs: setting an Event there can deadlock. Blocking the signals instead would be inherited
by every Docker call, which could then not be ended. So Python only writes a byte to a pipe, and a
thread that reads it does the rest.

Everything that is closed has a time limit of its own, but a database that accepts and never answers
has none: whoever waits for it sits in `recv`. So the process ends at a fixed time after the signal,
whatever its threads do. That is safe: the leases it still holds run out, and the kernel ends its
Docker calls with it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

import structlog

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The platform gives 5 s; what is left is for a slow machine.
LAST_RESORT_SECONDS = 4.3

log = structlog.get_logger(__name__)


def on_termination(
    stop: Callable[[], None], *, last_resort_seconds: float = LAST_RESORT_SECONDS
) -> None:
    """Call `stop` on a thread of its own once the process is asked to end.

    Must be called from the main thread.

    Args:
        stop: asks the process to end; must be quick.
        last_resort_seconds: how long after the signal the process ends by itself, with code 0.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    for number in SIGNALS:
        signal.signal(number, _nothing)
    # Python writes to the number for as long as the process lives, at each further signal too: were
    # the socket ever closed, the byte would go to whoever got the number next.
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)

    def wait() -> None:
        reading.recv(1)
        last_resort = threading.Timer(last_resort_seconds, _end)
        last_resort.daemon = True
        last_resort.start()
        stop()
        # Further signals change nothing, but somebody has to hold this end and read.
        while reading.recv(64):
            pass

    threading.Thread(target=wait, name="termination", daemon=True).start()


def _end() -> None:
    # On a thread of its own: whoever reads our log may have stopped reading as well.
    notice = threading.Thread(target=log.warning, args=("process cut short",), daemon=True)
    notice.start()
    notice.join(timeout=0.2)
    os._exit(0)


def _nothing(_: int, __: object) -> None:
    """A handler has to stand there, or the process would end at once."""
