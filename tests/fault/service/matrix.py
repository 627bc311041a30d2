"""Failpoint x operation: how long each kill took to recover from, and what it left for a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

_CELL = 21
# As many operations as go beside each other on a page.
_COLUMNS = 6


class Matrix:
    """Collects the kills of a run.

    Args:
        operations: the columns.
    """

    def __init__(self, operations: Sequence[str]) -> None:
        self._operations = operations
        self._seconds: dict[str, dict[str, list[float]]] = {}
        self._left: set[str] = set()
        self._unreached: list[str] = []

    def note(self, operation: str, place: str, seconds: float, left: Sequence[str] = ()) -> None:
        """Note one kill: the seconds that it cost, what it left."""
        self._seconds.setdefault(place, {}).setdefault(operation, []).append(seconds)
        if left:
            self._left.add(f"{operation} at {place}: {', '.join(sorted(set(left)))}")

    def note_unreached(self, operation: str, place: str) -> None:
        """Note that nobody came by a place, so that nobody was killed there."""
        self._unreached.append(f"{operation} at {place}")

    def kills(self) -> int:
        return len(list(self._all()))

    def slowest(self) -> float:
        return max(self._all(), default=0.0)

    def text(self) -> str:
        """The tables, a cell min/median/max in seconds of so many kills there."""
        return "\n".join(["", *self._lines()])

    def _lines(self) -> Iterator[str]:
        tried = [name for name in self._operations if list(self._of(name))]
        for first in range(0, len(tried), _COLUMNS):
            yield from self._table(tried[first : first + _COLUMNS])
        yield f"{self.kills()} kills, seconds to recover: {_cell(list(self._all()))}"
        yield f"{len(self._unreached)} places that nobody came by"
        yield from (f"not reached: {each}" for each in sorted(self._unreached))
        yield from (f"left for the sweep: {left}" for left in sorted(self._left))

    def _table(self, operations: Sequence[str]) -> Iterator[str]:
        widest = max(len(place) for place in self._seconds)
        yield f"{'':<{widest}}" + "".join(f"{name:>{_CELL}}" for name in operations)
        for place, row in sorted(self._seconds.items()):
            if row.keys() & set(operations):
                cells = (_cell(row.get(operation, [])) for operation in operations)
                yield f"{place:<{widest}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)
        totals = (_cell(list(self._of(operation))) for operation in operations)
        yield f"{'all':<{widest}}" + "".join(f"{cell:>{_CELL}}" for cell in totals)

    def _all(self) -> Iterator[float]:
        for operation in self._operations:
            yield from self._of(operation)

    def _of(self, operation: str) -> Iterator[float]:
        for row in self._seconds.values():
            yield from row.get(operation, [])


def _cell(kills: Sequence[float]) -> str:
    if not kills:
        return "-"
    if len(kills) == 1:
        return f"{kills[0]:.1f}"
    return f"{min(kills):.1f}/{median(kills):.1f}/{max(kills):.1f} x{len(kills)}"
