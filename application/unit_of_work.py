"""One PostgreSQL transaction, as the use cases see it.

Saving an aggregate writes its state, its ledger rows and its outbox rows, or none of them. No call
on an engine is ever made inside of one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from application.leases import BuildQuota, Lease, Leased, Renewal, Settlement, Work
from domain.build import Build
from domain.container import Container
from domain.image import Image

T = TypeVar("T")


class ImageRepository(Protocol):
    """Images in this transaction. A lock is held until the transaction ends."""

    def next_id(self) -> int: ...

    def add(self, image: Image) -> None: ...

    def lock(self, image_id: int) -> Image:
        """Return the image, locked.

        Raises:
            NotFound: if there is none.
        """

    def save(self, image: Image) -> None:
        """Write its state and the events it raised."""

    def short_of_instances(self, limit: int) -> Sequence[int]:
        """Return images for whose min_instances something can be done now."""


class BuildRepository(Protocol):
    """Builds in this transaction."""

    def next_id(self) -> int: ...

    def add(self, build: Build) -> None:
        """Insert a queued build, due at once."""

    def lock(self, build_id: int) -> Build: ...

    def ids_of(self, image_id: int) -> Sequence[int]:
        """Return the ids of all builds that the image ever had."""

    def lock_unfinished(self, image_id: int) -> Build | None:
        """Return the image's queued or running build, locked, if there is one."""

    def save(self, build: Build) -> None: ...


class ContainerRepository(Protocol):
    """Containers in this transaction."""

    def next_id(self) -> int: ...

    def add(self, container: Container) -> None:
        """Insert a container that is desired but not made yet, due at once."""

    def lock(self, container_id: int) -> Container:
        """Return the container, locked.

        Raises:
            NotFound: if there is none.
        """

    def image_id(self, container_id: int) -> int:
        """Return whose container it is, which is locked before it.

        Raises:
            NotFound: if there is none.
        """

    def of_image(self, image_id: int) -> Sequence[Container]:
        """Return the image's containers that are not deleted, ascending and not locked.

        While the image is locked none is added; what is to be changed is locked afterwards.
        """

    def lock_all_of(self, image_id: int) -> Sequence[Container]:
        """Return the image's containers that are not deleted, locked in ascending order."""

    def used_slots(self, image_id: int) -> Collection[int]:
        """Return the slots of the image's live containers; the image must be locked."""

    def save(self, container: Container) -> None:
        """Write its state and the events it raised."""

    def note_last_words(self, container_id: int, run_id: UUID, logs: str) -> None:
        """Add the last lines of a run that ended, if the container has not begun another since."""

    def is_missing(self, container_id: int) -> bool:
        """Return whether a complete list of a trusted engine lacked it, the last time one came."""


class HostnameRegistry(Protocol):
    """Who owns which hostname; locked before any image."""

    def claim(self, hostname: str, user_id: str) -> None:
        """Take the hostname for the user, or confirm that it is theirs.

        Raises:
            HostnameTaken: if another user's image holds it.
        """

    def lock(self, hostname: str) -> None:
        """Lock the hostname's row before the images that hold it."""

    def release_unheld(self, hostname: str) -> None:
        """Give the hostname up if no image holds it any more."""


class HostPortPool(Protocol):
    """The host ports of an engine: held by a container, cooling down, or free."""

    def reserve(self, engine_id: str, container_id: int) -> int:
        """Take the port that was released longest ago.

        Raises:
            NoFreePort: if all are held or cooling down.
        """

    def release(self, container_id: int, cool_down_seconds: float) -> None:
        """Give the container's port back; nobody gets it before the cool-down is over."""


class EngineDirectory(Protocol):
    """The engines that workers have registered."""

    def host(self, engine_id: str) -> str:
        """Return the address under which the external ports of the engine are reached."""

    def request_pass(self, engine_id: str) -> None:
        """Let the next pass over the engine be due at once."""


class LeaseTable(Protocol):
    """Who may act on what, by the database's clock."""

    def claim_containers(
        self, engine_id: str, works: Collection[Work], limit: int
    ) -> Sequence[Lease]:
        """Claim containers that are due, fairly among users."""

    def claim_builds(self, engine_id: str, quota: BuildQuota, limit: int) -> Sequence[Lease]:
        """Claim builds that are queued, untagged, or left behind by a dead worker.

        Of each image one at a time, and never more than the quota, however many workers claim at
        once. It may claim none while another worker claims.
        """

    def end_expired_build(self, build_id: int) -> bool:
        """End the lease of a locked build if it has run out: its worker records nothing more.

        Returns:
            Whether nobody holds the build now.
        """

    def start_build_over(self, build_id: int) -> None:
        """End the lease of a locked build, whoever holds it, and let it be due at once."""

    def claim_image_removals(self, engine_id: str, limit: int) -> Sequence[Lease]:
        """Claim images in deletion of which no build runs and no container is left."""

    def hold(self, lease: Lease) -> None:
        """Lock the leased row for an outcome.

        Raises:
            LeaseLost: if another worker has claimed it since.
        """

    def cover(self, lease: Lease, seconds: float) -> None:
        """Make the lease outlast a call of `seconds`; raises LeaseLost."""

    def renew(self, leases: Collection[Lease], seconds: float) -> Mapping[Lease, Renewal]:
        """Prolong leases; the ones that are missing in the answer were lost."""

    def revoke(self, kind: Leased, row_id: int, *, due: bool) -> None:
        """End whatever lease a row is under, whoever holds it: what that one records is refused.

        Args:
            due: whether the next worker may take it up at once; else nothing is left to be done,
                and what was wished of a container counts as carried out.
        """

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        """End the lease with the outcome it led to; raises LeaseLost."""


class UnitOfWork(Protocol):
    """One transaction. Lock order: hostname, image, build, container ascending."""

    @property
    def images(self) -> ImageRepository: ...
    @property
    def builds(self) -> BuildRepository: ...
    @property
    def containers(self) -> ContainerRepository: ...
    @property
    def hostnames(self) -> HostnameRegistry: ...
    @property
    def host_ports(self) -> HostPortPool: ...
    @property
    def engines(self) -> EngineDirectory: ...
    @property
    def leases(self) -> LeaseTable: ...

    def now(self) -> datetime:
        """Return the time by the database's clock, which is the same for all processes."""


class TransactionRunner(Protocol):
    """Runs work in a transaction: commits when it returns, rolls back when it raises."""

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Carry out `work`, again if PostgreSQL reports a serialisation failure or deadlock.

        Raises:
            DatabaseUnavailable: if no connection is to be had, or it broke.
        """
