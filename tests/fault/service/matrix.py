"""Failpoint x operation: how long each kill took to recover from, and what it left for a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_CELL = 14


class Matrix:
    """Collects the kills of a run.

    Args:
        operations: the columns.
    """

    def __init__(self, operations: Sequence[str]) -> None:
        self._operations = operations
        self._seconds: dict[str, dict[str, list[float]]] = {}
        self._left: set[str] = set()

    def note(self, operation: str, place: str, seconds: float, left: Sequence[str] = ()) -> None:
        """Note one kill: the seconds that it cost, the files that it left."""
        self._seconds.setdefault(place, {}).setdefault(operation, []).append(seconds)
        if left:
            kinds = sorted({_kind(path) for path in left})
            self._left.add(f"{operation} at {place}: {', '.join(kinds)}")

    def slowest(self) -> float:
        return max(
            (
                seconds
                for row in self._seconds.values()
                for cell in row.values()
                for seconds in cell
            ),
            default=0.0,
        )

    def lines(self) -> Iterator[str]:
        """The table; a cell tells the slowest of so many kills there."""
        if not self._seconds:
            return
        widest = max(len(place) for place in self._seconds)
        yield " " * widest + "".join(f"{name:>{_CELL}}" for name in self._operations)
        for place, row in sorted(self._seconds.items()):
            cells = (_cell(row.get(operation, [])) for operation in self._operations)
            yield f"{place:<{widest}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)
        kills = sum(len(cell) for row in self._seconds.values() for cell in row.values())
        yield f"{kills} kills, the slowest recovery {self.slowest():.1f} s"
        yield from (f"left for the sweep: {left}" for left in sorted(self._left))


def _kind(path: str) -> str:
    return "what was received or extracted" if path.startswith(".incoming/") else "a context"


def _cell(kills: Sequence[float]) -> str:
    if not kills:
        return "-"
    times = f" x{len(kills)}" if len(kills) > 1 else ""
    return f"{max(kills):.1f} s{times}"
