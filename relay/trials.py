"""The suspects that wait for their trial, and the few that are on trial at the same time.

Of a partition that answers slowly, or not at all, every suspect is silent. So one that was not
answered within its patience makes room for others, and has twice the patience the next time. Who
has the least goes first: those that were never tried, then those that were silent once, which may
be an election. One place is never held for longer than these need: however many are silent, and for
however long, the suspects of other partitions are decided meanwhile.
"""

import math
import time
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count

from relay.pending_event import PendingEvent
from relay.trial import Outcome, Sender, Trial, Verdict

# A producer each: some threads, and a connection to each broker that it needs.
_AT_ONCE = 4
_PATIENCE_SECONDS = 5.0
# Who has more than this, because it was silent twice, leaves one place to those that have less.
_SHORT_PATIENCE_SECONDS = 2 * _PATIENCE_SECONDS
# How often a trial is looked at until its patience ends.
_LOOKS = 100
_LONG_AT_ONCE = _AT_ONCE - 1
# As long as a message in flight is waited for at most (`stall.py`).
_MOST_PATIENCE_SECONDS = 240.0


class Trials:
    """Each event of another stream; which of them are decided, `look` tells."""

    def __init__(
        self, new_sender: Callable[[], Sender], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with none.

        Args:
            new_sender: Makes a fresh producer, for one message.
        """
        self._new_sender = new_sender
        self._clock = clock
        # A heap: the patience of the next trial, then who waits for longest; no number comes twice.
        self._waiting: list[tuple[float, int, PendingEvent]] = []
        self._numbers = count()
        self._under_way: list[Trial] = []

    @property
    def events(self) -> list[PendingEvent]:
        """All that are not decided."""
        on_trial = [trial.event for trial in self._under_way]
        return on_trial + [event for _, _, event in sorted(self._waiting)]

    @property
    def silent(self) -> int:
        """How many were tried, and not answered in time."""
        patience = [trial.patience_seconds for trial in self._under_way]
        patience += [seconds for seconds, _, _ in self._waiting]
        return sum(seconds > _PATIENCE_SECONDS for seconds in patience)

    @property
    def look_again_seconds(self) -> float:
        """How soon to look again, at the latest; infinite where there is nothing to look at.

        A hundredth of the least patience: who was silent for minutes is not looked at all the time.
        """
        patience = [trial.patience_seconds for trial in self._under_way]
        patience += [seconds for seconds, _, _ in self._waiting[:1]]
        return min(patience, default=math.inf) / _LOOKS

    def add(self, events: Iterable[PendingEvent]) -> None:
        """Let events be tried.

        Args:
            events: Each the first of its stream that is not published; none of a stream that is
                here already.
        """
        for event in events:
            self._wait(event, _PATIENCE_SECONDS)

    def look(self) -> list[Verdict]:
        """Return what was decided since the last call, and go on with the next; never waits.

        What was silent is told, and will be tried again; everything else told is here no more.
        """
        verdicts = self._decided(again=True)
        self._start()
        return verdicts

    def settle(self) -> list[Verdict]:
        """Like `look`, but send nothing: neither another one, nor what failed once more."""
        return self._decided(again=False)

    def take_back(self) -> None:
        """Give up what is under way, for a while in which nobody looks.

        It waits again, behind those of its patience: who pauses often tries them in turn.
        """
        while self._under_way:
            trial = self._under_way.pop(0)
            trial.end()
            self._wait(trial.event, trial.patience_seconds)

    def end(self) -> None:
        """Give up what is under way; all that is not decided is still pending."""
        while self._under_way:
            self._under_way.pop().end()

    def _decided(self, *, again: bool) -> list[Verdict]:
        verdicts = []
        for trial in list(self._under_way):
            verdict = trial.verdict(again=again)
            if verdict is None:
                continue
            verdicts.append(verdict)
            trial.end()
            self._under_way.remove(trial)
            if verdict.outcome is Outcome.SILENT:
                patience = min(2 * trial.patience_seconds, _MOST_PATIENCE_SECONDS)
                self._wait(trial.event, patience)
        return verdicts

    def _wait(self, event: PendingEvent, patience_seconds: float) -> None:
        heappush(self._waiting, (patience_seconds, next(self._numbers), event))

    def _start(self) -> None:
        while self._waiting and len(self._under_way) < _AT_ONCE:
            if self._waiting[0][0] > _SHORT_PATIENCE_SECONDS:
                long = [t for t in self._under_way if t.patience_seconds > _SHORT_PATIENCE_SECONDS]
                if len(long) >= _LONG_AT_ONCE:
                    return
            patience, _, event = heappop(self._waiting)
            self._under_way.append(Trial(event, patience, self._new_sender, self._clock))
