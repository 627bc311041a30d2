"""What all examples of a run share, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.fault.lifecycle.apps import Kind
from tests.fault.lifecycle.processes import Processes


@dataclass
class Stage:
    """The means of an example, and the counts of all.

    Attributes:
        new_processes: makes an example's own, which end with their context.
        recoveries: seconds from the last kill or request until everything was settled.
    """

    new_processes: Callable[[], AbstractContextManager[Processes]]
    archives: Mapping[Kind, bytes]
    examples: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What the run adds up to."""
        yield f"{self.examples} examples; killed or meddled with: {_told(self.kills)}"
        yield f"answers: {_told(self.answers)}"
        slowest = max(self.recoveries, default=0.0)
        yield f"settled {len(self.recoveries)} times, the slowest after {slowest:.1f} s"


def _told(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times}x" for name, times in sorted(counted.items()))
