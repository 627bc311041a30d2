"""Tells once when a broker takes nothing any more, and once when it goes on; at last gives it up.

One that hangs reports no error for a minute: what is in flight is neither acknowledged nor failed.
And a client may never find back to a broker that answers everybody else: seen with librdkafka 2.16
after its password had been refused for a moment. Messages have no time limit, so nothing but a new
client ends that. It is tried later each time, for a line may be so slow that nothing is wrong.
"""

import time
from collections.abc import Callable

import structlog

# A broker under load acknowledges something many times a second.
_STALLED_SECONDS = 5.0
# Then what is under way is given up, and sent again by a new client: a duplicate at worst.
_PATIENCE_SECONDS = 30.0
_MOST_PATIENCE_SECONDS = 240.0


class Stall:
    """How long what is under way has waited for a first acknowledgement."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waits_since: float | None = None
        self._stalled_since: float | None = None
        self._patience_seconds = _PATIENCE_SECONDS
        self._log = structlog.get_logger()

    def observe(self, *, under_way: int, acknowledged: int) -> str | None:
        """Take note; return why publishing does not go on, or None.

        Args:
            under_way: How many events are given to the client and neither settled nor failed.
            acknowledged: How many were acknowledged since the last call.
        """
        now = self._clock()
        if acknowledged:
            self._patience_seconds = _PATIENCE_SECONDS
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

    def is_hopeless(self) -> bool:
        """Return whether to give the client up; the next one is then waited for twice as long."""
        if self._waits_since is None or self._clock() - self._waits_since < self._patience_seconds:
            return False
        self._patience_seconds = min(2 * self._patience_seconds, _MOST_PATIENCE_SECONDS)
        self._waits_since = None
        return True
