"""Whether one published port answers, found out in steps of which none waits.

docker-proxy accepts connections for a container in which nobody listens, and then closes them. So
an accepted connection proves nothing at first: end of file or a reset within 250 ms means that
nobody listens; a connection that stays open, or sends something, means that the app does.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from application.bring_up_container import Verdict

SETTLE_SECONDS = 0.25
CONNECT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 0.5
# Refused for so long means that not even the proxy listens: somebody should look.
REFUSED_SECONDS = 1.0

OnVerdict = Callable[[int, Verdict], None]


@dataclass(slots=True, eq=False)
class PortProbe:
    """One port that is to answer.

    Attributes:
        selector: watches its connection; `ready` is to be called when there is anything.
        address: what the family of sockets takes.
        deadline: when it is TIMED_OUT, by the monotonic clock.
        act_at: when `due` is to be called, by the monotonic clock.
        connection: the connection that is being made or watched, None while it pauses.
        open_since: when that connection was accepted.
    """

    key: int
    selector: selectors.BaseSelector
    family: socket.AddressFamily
    address: Any
    deadline: float
    on_verdict: OnVerdict
    act_at: float
    wait: float = FIRST_PAUSE_SECONDS
    connection: socket.socket | None = None
    open_since: float | None = None
    refused_since: float | None = None

    def due(self) -> Verdict | None:
        """A pause is over, a connection took too long, or it has stayed open long enough.

        Returns:
            The verdict, if that was the last step.

        Raises:
            OSError: out of descriptors or the like; it may pause and go on.
        """
        now = time.monotonic()
        if self.connection is not None and self.open_since is not None:
            # It may have been closed while others were seen to, after the selector had looked.
            return self._read(self.connection, silent=Verdict.READY)
        if now >= self.deadline:
            return Verdict.TIMED_OUT
        if self.connection is None:
            return self._connect()
        self.pause()
        return None

    def ready(self) -> Verdict | None:
        """The connection was made or refused, sent something, or was closed; otherwise as `due`."""
        connection = self.connection
        if connection is None:
            return None
        if self.open_since is None:
            return self._connected(connection)
        return self._read(connection, silent=None)

    def pause(self) -> None:
        """Connect again a while later, each time a longer one."""
        self.disconnect()
        self.act_at = min(time.monotonic() + self.wait, self.deadline)
        self.wait = min(self.wait * 1.5, LAST_PAUSE_SECONDS)

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(self.connection)
            self.connection.close()
        self.connection = self.open_since = None

    def _connect(self) -> Verdict | None:
        connection = socket.socket(self.family, socket.SOCK_STREAM)
        connection.setblocking(False)
        self.connection = connection
        code = connection.connect_ex(self.address)
        if code not in {0, errno.EINPROGRESS}:
            return self._refused(code)
        self.selector.register(connection, selectors.EVENT_WRITE, self)
        self.act_at = min(time.monotonic() + CONNECT_SECONDS, self.deadline)
        return None

    def _connected(self, connection: socket.socket) -> Verdict | None:
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return self._refused(code)
        if connection.getsockname() == connection.getpeername():
            # An ephemeral port has met itself: TCP allows that, and nobody listens.
            return self._refused(errno.ECONNREFUSED)
        self.refused_since = None
        self.open_since = time.monotonic()
        self.act_at = self.open_since + SETTLE_SECONDS
        self.selector.modify(connection, selectors.EVENT_READ, self)
        return None

    def _read(self, connection: socket.socket, *, silent: Verdict | None) -> Verdict | None:
        try:
            received = connection.recv(1)
        except BlockingIOError:
            return silent
        except OSError:
            received = b""
        if received:
            return Verdict.READY
        self.pause()
        return None

    def _refused(self, code: int) -> Verdict | None:
        now = time.monotonic()
        if code == errno.ECONNREFUSED:
            self.refused_since = self.refused_since or now
            if now - self.refused_since >= REFUSED_SECONDS:
                return Verdict.REFUSED
        self.pause()
        return None
