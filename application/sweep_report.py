"""What a sweep did, or would have done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from application.leftovers import Kind


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that is to go.

    Attributes:
        name: a path below the volume's folder, a Docker tag, or a Docker image id.
        age_seconds: since it was written, made or tagged last.
        size_bytes: of files; Docker's layers are shared, so nothing is told of them.
    """

    kind: Kind
    name: str
    age_seconds: float
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A leftover that could not be removed, and why."""

    leftover: Leftover
    reason: str


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Everything that was not needed any more, and whether it is gone.

    Attributes:
        set_back: tags of what is in use that led elsewhere.
    """

    removed: Sequence[Leftover]
    kept: Sequence[Kept]
    set_back: Sequence[str] = ()

    @property
    def size_bytes(self) -> int:
        return sum(leftover.size_bytes or 0 for leftover in self.removed)
