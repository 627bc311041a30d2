"""Tells once when messages get no answer any more, and once when they do; at last gives them up.

A broker that hangs reports no error for a minute: what is in flight is neither acknowledged nor
failed. And a client may never find back to a broker that answers everybody else: seen with
librdkafka 2.16 after its password had been refused for a moment. Messages have no time limit, so
nothing but a new client ends that.

What others are told is no comfort to a message: with several brokers a client may have lost one of
them, while the others answer all the time. So it is the first in flight, the one that was handed
over before all others, that is waited for. Which partition it is for need not be known. Within one
Kafka answers in the order of handing over, and nothing older is in flight: so it is the next in its
partition, which was last heard of before it became the first. Patience begins with that moment, and
each answer of its partition begins it anew, because another one is the first then.

Its partition may have to wait for others all the same: on a slow line under load they take turns,
and for minutes all that is acknowledged is theirs. But then what is acknowledged has waited about
as long itself. So the first is not given up until it has waited for twice as long as anything that
was acknowledged meanwhile; beside a broker that answers at once, that is no time at all.

To give up is a duplicate at worst. Each time the patience doubles, for the line may be so slow that
nothing is wrong; it is the first one again when the one that had been waited for was heard of.
"""

import time
from collections.abc import Callable, Iterable

import structlog

from relay.pending_event import PendingEvent

# A broker under load acknowledges something many times a second.
_STALLED_SECONDS = 5.0
# A stall whose event is gone unheard, e.g. with its topic, ends when none waited for so long: twice
# as long as a new client needs to show that it is no better.
_CALM_SECONDS = 2 * _STALLED_SECONDS
# Then what is under way is given up, and sent again by a new client.
_PATIENCE_SECONDS = 30.0
_MOST_PATIENCE_SECONDS = 240.0
_SLACK = 2.0


class Stall:
    """How long the first in flight has waited, over the lives of several clients."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._log = structlog.get_logger()
        self._patience_seconds = _PATIENCE_SECONDS
        self._acknowledged_at = float("-inf")
        # The first in flight: its id, when it was handed over, and when it became the first.
        self._first: tuple[int, float] | None = None
        self._first_since = 0.0
        # The longest that anything took which was acknowledged since then, and since the last look.
        self._slowest_seconds = 0.0
        self._slowest_unseen = 0.0
        # The event that publishing stalled with; it may have been given up since.
        self._stalled_with: int | None = None
        self._stalled_since = 0.0
        self._calm_since: float | None = None

    def start_over(self) -> None:
        """Expect a new client, of which nobody knows yet whether it is answered."""
        self._first = None
        self._calm_since = None
        # That was another client's.
        self._slowest_unseen = 0.0

    def note_acknowledged(self, events: Iterable[PendingEvent], slowest_seconds: float) -> None:
        """Take note of what was acknowledged; to be called before what is left is observed.

        Args:
            events: One at least.
            slowest_seconds: The longest that any of them took, since it was handed over.
        """
        self._acknowledged_at = self._clock()
        self._slowest_unseen = max(self._slowest_unseen, slowest_seconds)
        self.note_refused(events)

    def note_refused(self, events: Iterable[PendingEvent]) -> None:
        """Take note of what was answered, though with an error."""
        if self._stalled_with is not None and any(e.id == self._stalled_with for e in events):
            self._go_on()

    def observe(self, first: tuple[int, float] | None, *, under_way: int) -> str | None:
        """Take note of what is in flight; return why publishing does not go on, or None.

        Args:
            first: Of the first in flight the id, and when it was handed over by our clock.
            under_way: How many events are given to the client and neither settled nor failed.
        """
        now = self._clock()
        self._note_first(first, now)
        if self._waits_too_long(now):
            self._calm_since = None
            if self._stalled_with is None and first is not None:
                self._stalled_with, self._stalled_since = first[0], self._first_since
                seconds = round(now - self._first_since, 1)
                self._log.warning("publishing stalled", under_way=under_way, seconds=seconds)
        elif self._calm_since is None:
            self._calm_since = now
        elif self._stalled_with is not None and now - self._calm_since >= _CALM_SECONDS:
            self._go_on()
        if self._stalled_with is None:
            return None
        seconds = now - self._stalled_since
        if self._acknowledged_at > self._stalled_since:
            return f"an event has not been acknowledged for {seconds:.0f} s"
        return f"the broker has acknowledged nothing for {seconds:.0f} s"

    def is_hopeless(self) -> bool:
        """Return whether to give the client up; the next one is then waited for twice as long."""
        now = self._clock()
        if self._first is None or now - self._first_since < self._patience_seconds:
            return False
        if not self._is_passed_over(now):
            return False
        self._patience_seconds = min(2 * self._patience_seconds, _MOST_PATIENCE_SECONDS)
        self.start_over()
        return True

    def _note_first(self, first: tuple[int, float] | None, now: float) -> None:
        if first != self._first:
            self._first, self._first_since = first, now
            self._slowest_seconds = 0.0
        # What made it the first was acknowledged just before.
        self._slowest_seconds = max(self._slowest_seconds, self._slowest_unseen)
        self._slowest_unseen = 0.0

    def _waits_too_long(self, now: float) -> bool:
        if self._first is None or now - self._first_since < _STALLED_SECONDS:
            return False
        return now - self._acknowledged_at >= _STALLED_SECONDS or self._is_passed_over(now)

    def _is_passed_over(self, now: float) -> bool:
        """Return whether what was acknowledged meanwhile had to wait for far less."""
        return self._first is not None and now - self._first[1] >= _SLACK * self._slowest_seconds

    def _go_on(self) -> None:
        seconds = round(self._clock() - self._stalled_since, 1)
        self._log.info("publishing goes on", seconds=seconds)
        self._stalled_with = None
        self._patience_seconds = _PATIENCE_SECONDS
