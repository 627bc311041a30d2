"""Tells once when a broker takes nothing any more, and once when it goes on.

One that hangs reports no error for a minute: what is in flight is neither acknowledged nor failed.
"""

import time
from collections.abc import Callable

import structlog

# A broker under load acknowledges something many times a second.
_STALLED_SECONDS = 5.0


class Stall:
    """How long what is under way has waited for a first acknowledgement."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waits_since: float | None = None
        self._stalled_since: float | None = None
        self._log = structlog.get_logger()

    def observe(self, *, under_way: int, acknowledged: int) -> str | None:
        """Take note; return why publishing does not go on, or None.

        Args:
            under_way: How many events are given to the client and neither settled nor failed.
            acknowledged: How many were acknowledged since the last call.
        """
        now = self._clock()
        if acknowledged and self._stalled_since is not None:
            seconds = round(now - self._stalled_since, 1)
            self._log.info("publishing goes on", seconds=seconds)
            self._stalled_since = None
        if self._waits_since is None or acknowledged or not under_way:
            self._waits_since = now if under_way else None
            return None
        waited = now - self._waits_since
        if waited < _STALLED_SECONDS:
            return None
        if self._stalled_since is None:
            self._log.warning("publishing stalled", under_way=under_way, seconds=round(waited, 1))
            self._stalled_since = self._waits_since
        return f"the broker has acknowledged nothing for {waited:.0f} s"
