"""Which published ports answer: one thread and one selector for all of them.

docker-proxy accepts connections for a container in which nobody listens, and then closes them. So
an accepted connection proves nothing at first: end of file or a reset within 250 ms means that
nobody listens; a connection that stays open, or sends something, means that the app does.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from application.bring_up_container import Verdict

SETTLE_SECONDS = 0.25
CONNECT_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 0.5
# Refused for so long means that not even the proxy listens: somebody should look.
REFUSED_SECONDS = 1.0

OnVerdict = Callable[[int, Verdict], None]

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Probe:
    """One port that is to answer.

    Attributes:
        act_at: when its next step is due, by the monotonic clock.
        address: what the family of sockets takes.
        connection: the connection that is being made or watched, None while it pauses.
        open_since: when that connection was accepted.
    """

    key: int
    family: socket.AddressFamily
    address: Any
    deadline: float
    on_verdict: OnVerdict
    act_at: float
    pause: float = FIRST_PAUSE_SECONDS
    connection: socket.socket | None = None
    open_since: float | None = None
    refused_since: float | None = None


class SelectorReadinessProber:
    """Connects to ports until they answer."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        # Neither side ever waits: a full socket wakes the thread as well.
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._probes: dict[int, _Probe] = {}
        self._added: list[_Probe] = []
        self._forgotten: set[int] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self._thread.start()

    def watch(
        self, key: int, address: tuple[str, int], deadline_monotonic: float, on_verdict: OnVerdict
    ) -> None:
        """Connect to an address until it answers; one verdict is called back.

        Args:
            key: names the probe; an earlier one of the same key is forgotten.
            address: host name or address, and port; the name is resolved here, once.
            deadline_monotonic: when it is TIMED_OUT, by `time.monotonic()`.
            on_verdict: called from the prober's thread; must be quick.
        """
        try:
            found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
            family, _, _, _, resolved = found[0]
        except OSError as exc:
            log.warning("probe host unknown", host=address[0], error=str(exc))
            family, resolved = socket.AF_INET, ("127.0.0.1", 0)
        now = time.monotonic()
        probe = _Probe(key, family, resolved, deadline_monotonic, on_verdict, act_at=now)
        with self._lock:
            self._added.append(probe)
            self._forgotten.discard(key)
        self._wake()

    def forget(self, key: int) -> None:
        """Give up a probe without a verdict; one that was just reached may still be called back."""
        with self._lock:
            self._forgotten.add(key)
            self._added = [probe for probe in self._added if probe.key != key]
        self._wake()

    def close(self) -> None:
        """Give up every probe and end the thread."""
        self._closing = True
        self._wake()
        self._thread.join(timeout=2.0)

    # ---- the prober's thread ---------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            self._take_changes()
            for selected, _ in self._selector.select(self._time_to_next()):
                if selected.data is None:
                    with contextlib.suppress(BlockingIOError):
                        while self._woken.recv(4096):
                            pass
                else:
                    self._guarded(selected.data, self._ready)
            now = time.monotonic()
            for probe in list(self._probes.values()):
                if probe.act_at <= now:
                    self._guarded(probe, self._due)
        for probe in list(self._probes.values()):
            self._drop(probe)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _take_changes(self) -> None:
        with self._lock:
            added, self._added = self._added, []
            forgotten, self._forgotten = self._forgotten, set()
        for key in forgotten | {probe.key for probe in added}:
            if key in self._probes:
                self._drop(self._probes[key])
        self._probes.update((probe.key, probe) for probe in added)

    def _time_to_next(self) -> float | None:
        if not self._probes:
            return None
        return max(min(probe.act_at for probe in self._probes.values()) - time.monotonic(), 0.0)

    def _guarded(self, probe: _Probe, step: Callable[[_Probe], None]) -> None:
        try:
            step(probe)
        except OSError as exc:
            # Out of descriptors or the like: the port is asked again, the others go on.
            log.warning("probe failed", key=probe.key, error=str(exc))
            self._pause(probe)

    def _due(self, probe: _Probe) -> None:
        """A pause is over, a connection took too long, or it has stayed open long enough."""
        now = time.monotonic()
        if probe.open_since is not None:
            self._tell(probe, Verdict.READY)
        elif now >= probe.deadline:
            self._tell(probe, Verdict.TIMED_OUT)
        elif probe.connection is not None:
            self._pause(probe)
        else:
            self._connect(probe)

    def _connect(self, probe: _Probe) -> None:
        connection = socket.socket(probe.family, socket.SOCK_STREAM)
        connection.setblocking(False)
        probe.connection = connection
        code = connection.connect_ex(probe.address)
        if code in {0, errno.EINPROGRESS}:
            self._selector.register(connection, selectors.EVENT_WRITE, probe)
            probe.act_at = min(time.monotonic() + CONNECT_SECONDS, probe.deadline)
        else:
            self._refused(probe, code)

    def _ready(self, probe: _Probe) -> None:
        """The connection was made or refused, sent something, or was closed."""
        connection = probe.connection
        if connection is None:
            return
        if probe.open_since is None:
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._refused(probe, code)
                return
            if connection.getsockname() == connection.getpeername():
                # An ephemeral port has met itself: TCP allows that, and nobody listens.
                self._refused(probe, errno.ECONNREFUSED)
                return
            probe.refused_since = None
            probe.open_since = time.monotonic()
            probe.act_at = probe.open_since + SETTLE_SECONDS
            self._selector.modify(connection, selectors.EVENT_READ, probe)
            return
        try:
            received = connection.recv(1)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if received:
            self._tell(probe, Verdict.READY)
        else:
            self._pause(probe)

    def _refused(self, probe: _Probe, code: int) -> None:
        now = time.monotonic()
        if code == errno.ECONNREFUSED:
            probe.refused_since = probe.refused_since or now
            if now - probe.refused_since >= REFUSED_SECONDS:
                self._tell(probe, Verdict.REFUSED)
                return
        self._pause(probe)

    def _pause(self, probe: _Probe) -> None:
        self._disconnect(probe)
        probe.act_at = min(time.monotonic() + probe.pause, probe.deadline)
        probe.pause = min(probe.pause * 1.5, LAST_PAUSE_SECONDS)

    def _tell(self, probe: _Probe, verdict: Verdict) -> None:
        self._drop(probe)
        try:
            probe.on_verdict(probe.key, verdict)
        except Exception:
            log.exception("verdict not taken", key=probe.key)

    def _drop(self, probe: _Probe) -> None:
        self._disconnect(probe)
        if self._probes.get(probe.key) is probe:
            del self._probes[probe.key]

    def _disconnect(self, probe: _Probe) -> None:
        if probe.connection is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(probe.connection)
            probe.connection.close()
        probe.connection = probe.open_since = None

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
