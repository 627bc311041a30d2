"""How many instances an image may have, and how much each may use."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from domain.errors import BelowMinInstances, InstanceLimitReached, InvalidValue

MAX_INSTANCES = 10
MAX_PORT = 65535

CORES = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
MEMORY = re.compile(r"([1-9][0-9]{0,15})([bkmg]?)", re.IGNORECASE | re.ASCII)
MEMORY_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
# Docker refuses less than 6 MiB.
MIN_MEMORY_BYTES = 6 * 1024**2
# Docker's --cpus counts thousandths here; less than a hundredth starves a process at start.
MIN_CPU = Decimal("0.01")
# The widest value that the database's numeric(6, 3) holds.
MAX_CPU = Decimal("999.999")


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """Bounds of the number of containers of an image: 0 <= minimum <= maximum <= 10, 1 <= maximum.

    Raises:
        InvalidValue: naming the field that is out of range.
    """

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 1 <= self.maximum <= MAX_INSTANCES:
            raise InvalidValue("max_instances", f"must be from 1 to {MAX_INSTANCES}")
        if not 0 <= self.minimum <= self.maximum:
            raise InvalidValue("min_instances", "must be from 0 to max_instances")

    def left(self, live: int) -> int:
        """Return how many more containers fit beside `live` ones."""
        return max(self.maximum - live, 0)

    def free_slots(self, used: Collection[int]) -> list[int]:
        """Return the slots, numbered from 1 to maximum, that no live container has."""
        return [slot for slot in range(1, self.maximum + 1) if slot not in used]

    def admit(self, live: int, requested: int) -> None:
        """Refuse `requested` more containers beside `live` ones unless all of them fit.

        Raises:
            InstanceLimitReached: if they do not.
        """
        if requested > self.left(live):
            raise InstanceLimitReached(self.maximum, self.left(live), requested)

    def admit_stop(self, left: int) -> None:
        """Refuse a stop that leaves `left` containers wished running unless those are enough.

        Raises:
            BelowMinInstances: if they are not.
        """
        if left < self.minimum:
            raise BelowMinInstances(self.minimum, left)


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What one container may use.

    Attributes:
        cpu: cores, from 0.01 to 999.999, to a thousandth.
        memory: bytes with an optional unit of b, k, m or g (powers of 1024), as the user gave it.

    Raises:
        InvalidValue: naming the field that is out of range.
    """

    cpu: Decimal
    memory: str

    def __post_init__(self) -> None:
        # The range comes first: rounding a number of too many digits raises.
        in_range = self.cpu.is_finite() and MIN_CPU <= self.cpu <= MAX_CPU
        if not in_range or self.cpu != round(self.cpu, 3):
            raise InvalidValue(
                "cpu_limit", f"must be cores from {MIN_CPU} to {MAX_CPU}, to a thousandth"
            )
        if self.memory_bytes < MIN_MEMORY_BYTES:
            raise InvalidValue("memory_limit", "must be at least 6m")

    @property
    def memory_bytes(self) -> int:
        match = MEMORY.fullmatch(self.memory)
        if match is None:
            raise InvalidValue(
                "memory_limit", "must be a whole number with an optional unit b, k, m or g"
            )
        return int(match[1]) * MEMORY_UNITS[match[2].lower()]

    def within(self, ceiling: ResourceLimits) -> ResourceLimits:
        """Return these limits if they do not pass the operator's ceiling.

        Raises:
            InvalidValue: naming the field that passes it.
        """
        if self.cpu > ceiling.cpu:
            raise InvalidValue("cpu_limit", f"must be at most {ceiling.cpu}")
        if self.memory_bytes > ceiling.memory_bytes:
            raise InvalidValue("memory_limit", f"must be at most {ceiling.memory}")
        return self


def parsed_cpu(text: str) -> Decimal:
    """Read cores from text.

    Raises:
        InvalidValue: if it is no number.
    """
    if not CORES.fullmatch(text.strip()):
        raise InvalidValue("cpu_limit", "must be a number of cores, such as 0.5")
    return Decimal(text.strip())


def checked_container_port(port: int) -> int:
    """Return `port` if it is a TCP port."""
    if not 1 <= port <= MAX_PORT:
        raise InvalidValue("container_port", f"must be from 1 to {MAX_PORT}")
    return port
