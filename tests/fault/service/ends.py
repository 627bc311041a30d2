"""How an operation ends: what is recorded and told of its image and containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Told:
    """An image or a container.

    Attributes:
        status: as it is recorded.
        told: the types of its events, in order, without what they are of.
    """

    status: str
    told: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a PATCH changes of an image."""

    min_instances: int = 0
    max_instances: int = 3
    cpu_limit: Decimal = Decimal("0.5")
    memory_limit: str = "64m"
    restart_policy: str = "on-failure"


@dataclass(frozen=True, slots=True)
class End:
    """The end of one image, None if there is none, and of its containers in order of their ids."""

    image: Told | None = None
    containers: Sequence[Told] = ()
    limits: Limits | None = Limits()


NOTHING = End(limits=None)

_BUILT = ("build_started", "ready")
_RAN = ("created", "started")

READY = Told("ready", _BUILT)
REBUILT = Told("ready", _BUILT * 2)
CANCELLED = Told("build_cancelled", ("build_started", "build_cancelled"))
REMOVED = Told("deleted", (*_BUILT, "deleted"))
REMOVED_UNBUILT = Told("deleted", ("build_started", "build_cancelled", "deleted"))

RUNS = Told("running", _RAN)
STOPPED = Told("stopped", (*_RAN, "stopped"))
RUNS_AGAIN = Told("running", (*_RAN, "stopped", "started"))
DELETED = Told("deleted", (*_RAN, "stopped", "deleted"))


class Record(Protocol):
    """The database of an installation."""

    def rows(self, sql: str, /) -> Sequence[Mapping[str, Any]]: ...


def end_of(record: Record, image_id: int | None, after_container: int = 0) -> End:
    """Return how it stands with an image and those of its containers that came after another one.

    Events of one transition would have to be told twice to be here twice: nobody has published
    anything yet, and consumers drop what bears a sequence that they have had.
    """
    if image_id is None:
        return NOTHING
    (image,) = record.rows(f"SELECT * FROM images WHERE id = {image_id}")
    containers = record.rows(
        f"SELECT id, status FROM containers WHERE image_id = {image_id}"
        f" AND id > {after_container} ORDER BY id"
    )
    limits = (image[name] for name in Limits.__slots__)
    return End(
        _told(record, "image", image),
        tuple(_told(record, "container", container) for container in containers),
        Limits(*limits),
    )


def _told(record: Record, kind: str, row: Mapping[str, Any]) -> Told:
    stream = f"{kind}/{row['id']}"
    types = record.rows(f"SELECT type FROM events WHERE stream = '{stream}' ORDER BY sequence")
    return Told(row["status"], tuple(each["type"].removeprefix(f"{kind}.") for each in types))
