"""Which published ports answer: one thread and one selector for all of them.

What a port has to do to count as answering is the matter of its probe (`port_probe`).
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable

import structlog

from adapters.docker.port_probe import OnVerdict, PortProbe
from application.bring_up_container import Verdict

log = structlog.get_logger(__name__)


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
        self._probes: dict[int, PortProbe] = {}
        self._added: list[PortProbe] = []
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
        probe = PortProbe(
            key, self._selector, family, resolved, deadline_monotonic, on_verdict, act_at=now
        )
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
                    self._take_step(selected.data, selected.data.ready)
            now = time.monotonic()
            for probe in list(self._probes.values()):
                if probe.act_at <= now:
                    self._take_step(probe, probe.due)
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

    def _take_step(self, probe: PortProbe, step: Callable[[], Verdict | None]) -> None:
        try:
            verdict = step()
            if verdict is not None:
                self._tell(probe, verdict)
        except OSError as exc:
            # Out of descriptors or the like: the port is asked again, the others go on.
            log.warning("probe failed", key=probe.key, error=str(exc))
            probe.pause()

    def _tell(self, probe: PortProbe, verdict: Verdict) -> None:
        self._drop(probe)
        try:
            probe.on_verdict(probe.key, verdict)
        except Exception:
            log.exception("verdict not taken", key=probe.key)

    def _drop(self, probe: PortProbe) -> None:
        probe.disconnect()
        if self._probes.get(probe.key) is probe:
            del self._probes[probe.key]

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
