"""When something happens to an operation: at one of the times that it passes a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from adapters.failpoints.names import ENGINE, EngineCall, after, before

# What is passed only for an operation's sake: the rest is for passes and looks, too.
_CHANGES = {
    side(ENGINE, call)
    for call in (
        EngineCall.BUILD,
        EngineCall.TAG,
        EngineCall.REMOVE_TAG,
        EngineCall.CREATE,
        EngineCall.START,
        EngineCall.STOP,
        EngineCall.REMOVE,
    )
    for side in (before, after)
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the times that an operation passes a place.

    Attributes:
        number: as `@N` counts.
        index: its position among all places that are passed.
    """

    place: str
    number: int
    index: int

    def __str__(self) -> str:
        return f"{self.place}@{self.number}"

    def armed(self, action: str) -> str:
        """Return what lets something happen then, for ORCHESTRATOR_FAILPOINTS."""
        return f"{self.place}={action}@{self.number}"

    def armed_since(self, places: Sequence[str], action: str, apart: Collection[str] = ()) -> str:
        """Return the same for a worker that does other things, too: counted from its last change.

        Args:
            places: all that the operation passes, in order.
            apart: those that a worker of several threads passes at any time, whatever is changed.
        """
        if self.place in apart:
            return self.armed(action)
        passed = places[: self.index]
        changes = [at for at, place in enumerate(passed) if place in _CHANGES]
        if not changes:
            return self.armed(action)
        since, turn = passed[changes[-1]], passed[: changes[-1] + 1].count(passed[changes[-1]])
        number = passed[changes[-1] + 1 :].count(self.place) + 1
        return f"{self.place}={action}@{number}/{since}@{turn}"


def turns_of(places: Sequence[str], *, every: bool) -> Sequence[Turn]:
    """Return the turns that an operation is tried at.

    Args:
        places: all that it passes, in order.
        every: whether at every turn of each place, or at one in the middle.
    """
    counted: Counter[str] = Counter()
    turns = []
    for index, place in enumerate(places):
        counted[place] += 1
        turns.append(Turn(place, counted[place], index))
    if every:
        return turns
    # The last ones find that nothing is left to be done.
    return [turn for turn in turns if turn.number == (counted[turn.place] + 1) // 2]
