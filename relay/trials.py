"""The suspects that wait for their trial, and the few that are on trial at the same time.

Of a partition that answers slowly, or not at all, every suspect is silent. So one that was not
answered within its patience makes room for others, waits behind them, and has twice the patience
the next time. Those that were never tried go first, and there is always a place for one of them:
however many are silent, the suspects of other partitions are decided meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable

from relay.pending_event import PendingEvent
from relay.trial import Outcome, Sender, Trial, Verdict

# A producer each: some threads, and a connection to each broker that it needs.
_AT_ONCE = 4
# Of those that were silent before.
_SILENT_AT_ONCE = _AT_ONCE - 1
_PATIENCE_SECONDS = 5.0
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
        self._untried: deque[PendingEvent] = deque()
        # With the patience for their next trial.
        self._silent: deque[tuple[PendingEvent, float]] = deque()
        self._under_way: list[Trial] = []

    @property
    def events(self) -> list[PendingEvent]:
        """All that are not decided."""
        on_trial = [trial.event for trial in self._under_way]
        return [*on_trial, *self._untried, *(event for event, _ in self._silent)]

    @property
    def silent(self) -> int:
        """How many were tried, and not answered in time."""
        return len(self._silent) + self._silent_under_way

    def add(self, events: Iterable[PendingEvent]) -> None:
        """Let events be tried.

        Args:
            events: Each the first of its stream that is not published; none of a stream that is
                here already.
        """
        self._untried.extend(events)

    def look(self) -> list[Verdict]:
        """Return what was decided since the last call, and go on with the next; never waits.

        What was silent is told, and will be tried again; everything else told is here no more.
        """
        verdicts = self.settle()
        self._start()
        return verdicts

    def settle(self) -> list[Verdict]:
        """Like `look`, but begin with nothing new."""
        verdicts = []
        for trial in list(self._under_way):
            verdict = trial.verdict()
            if verdict is None:
                continue
            verdicts.append(verdict)
            trial.end()
            self._under_way.remove(trial)
            if verdict.outcome is Outcome.SILENT:
                patience = min(2 * trial.patience_seconds, _MOST_PATIENCE_SECONDS)
                self._silent.append((trial.event, patience))
        return verdicts

    def end(self) -> None:
        """Give up what is under way; all that is not decided is still pending."""
        while self._under_way:
            self._under_way.pop().end()

    @property
    def _silent_under_way(self) -> int:
        return sum(trial.patience_seconds > _PATIENCE_SECONDS for trial in self._under_way)

    def _start(self) -> None:
        while len(self._under_way) < _AT_ONCE:
            if self._untried:
                event, patience = self._untried.popleft(), _PATIENCE_SECONDS
            elif self._silent and self._silent_under_way < _SILENT_AT_ONCE:
                event, patience = self._silent.popleft()
            else:
                return
            self._under_way.append(Trial(event, patience, self._new_sender, self._clock))
