"""What the database holds, as the audit compares it; all of it was read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.build import UNFINISHED, BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_status import ImageStatus

_C = ContainerStatus
_GONE = frozenset({_C.FAILED, _C.DELETED})
_UNDER_WAY = frozenset({_C.CREATING, _C.STARTING, _C.STOPPING, _C.DELETING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """A container as it is recorded.

    Attributes:
        spec_hash: of what it should be made from, its port included; None once it holds no port.
        leased: whether a worker holds it by the database's clock.
        due: whether something is to be done with it: a wish, a step, a look.
        awaited: whether a worker holds it, or takes its next step once that is due.
        restarts: whether its policy is to start it again.
    """

    id: int
    uid: UUID
    image_id: int
    build_id: int
    engine_id: str
    name: str
    status: ContainerStatus
    desired: Desired
    wished_at: datetime
    slot: int | None
    external_port: int | None
    docker_id: str | None
    container_ip: str | None
    open_run_id: UUID | None
    spec_hash: str | None
    sequence: int
    leased: bool
    due: bool
    awaited: bool
    restarts: bool

    @property
    def is_live(self) -> bool:
        """Whether it is neither failed nor deleted."""
        return self.status not in _GONE

    @property
    def is_in_flight(self) -> bool:
        """Whether something is being done with it, or is about to be."""
        if self.status is ContainerStatus.DELETED:
            return False
        return self.leased or self.due or self.status in _UNDER_WAY


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image as it is recorded.

    Attributes:
        due: whether a worker has something to remove of it, now or later.
    """

    id: int
    user_id: str
    app_hostname: str
    status: ImageStatus
    max_instances: int
    source_path: str
    public_tag: str
    repository: str
    active_build_id: int | None
    engine_id: str | None
    sequence: int
    leased: bool
    due: bool

    @property
    def is_deleted(self) -> bool:
        return self.status is ImageStatus.DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """A build as it is recorded.

    Attributes:
        due: whether a worker has something to do with it, if only to set the public tag.
    """

    id: int
    image_id: int
    status: BuildStatus
    engine_id: str | None
    docker_image_id: str | None
    public_tag_set: bool
    finished_at: datetime | None
    leased: bool
    due: bool

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    @property
    def is_in_flight(self) -> bool:
        return self.is_unfinished or self.leased or self.due


@dataclass(frozen=True, slots=True)
class HeldPort:
    """A host port that a container holds."""

    engine_id: str
    port: int
    container_id: int


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """An engine that a worker registered."""

    engine_id: str
    quarantine_reason: str | None


@dataclass(frozen=True, slots=True)
class Restoration:
    """The numbers that were raised after a backup was restored.

    Attributes:
        raised_by: how much each sequence of a stream was raised.
        last_event_id: no event up to this id was written later, and none above it before.
        last_image_id: as above, of images.
        last_container_id: as above, of containers.
    """

    raised_by: int
    last_event_id: int
    last_image_id: int
    last_container_id: int


@dataclass(frozen=True, slots=True)
class State:
    """Everything but the ledger."""

    containers: Mapping[int, ContainerRecord] = field(default_factory=dict)
    images: Mapping[int, ImageRecord] = field(default_factory=dict)
    builds: Mapping[int, BuildRecord] = field(default_factory=dict)
    ports: Sequence[HeldPort] = ()
    hostnames: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, EngineRecord] = field(default_factory=dict)
    restorations: Sequence[Restoration] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """An event of the ledger, with what its payload tells; None is what it does not.

    Attributes:
        told_event_id, told_sequence: as consumers read them.
    """

    id: int
    event_id: UUID
    sequence: int
    type: str
    occurred_at: datetime
    status: str | None
    run_id: UUID | None
    told_event_id: UUID | None
    told_sequence: int | None


@dataclass(frozen=True, slots=True)
class Stream:
    """All events of one aggregate that the ledger holds, in the order of their sequence."""

    name: str
    entries: Sequence[LedgerEntry]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an event stands: what the relay orders and sends by."""

    topic: str
    key: str
    stream: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A row of the outbox beside the row of the ledger that it stands for, None without one."""

    event_id: UUID
    address: Address
    ledger: Address | None
