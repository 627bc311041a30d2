"""An installation on a real database: the use cases of api and worker, assembled as they are.

Only two things are missing: the archive (a context is made out of nothing, extraction has tests of
its own) and an engine, which each test brings if it needs one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import uuid_utils.compat
from psycopg.rows import DictRow

from adapters.postgres.claims import Claimant
from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.folder_record import PostgresFolderRecord
from adapters.postgres.pool import create_pool
from adapters.postgres.reader import PostgresReader
from adapters.postgres.signals import Channel
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.volume.context_store import VolumeContextStore
from adapters.volume.installation_mark import VolumeInstallationMark
from adapters.volume.stored_files import VolumeStoredFiles
from adapters.wire.events import EventEncoder
from application.claim_volume import ClaimVolume
from application.container_outcomes import ContainerOutcomes
from application.keep_instances import KeepInstances, Kept
from application.leases import BuildQuota, Lease, Settlement, Work
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import LogTail
from tests.integration.postgres.observations import seen
from tests.integration.postgres.user_requests import UserRequests

ENGINE = "engine-1"
FIRST_PORT = 20000
LEASE_SECONDS = 10.0
CONTAINER_WORKS = (Work.START, Work.STOP, Work.DELETE, Work.OBSERVE)

_EMPTY = """
TRUNCATE outbox, blocked_streams, events, host_ports, containers, builds, images, hostnames,
         restorations, workers
"""


@dataclass(frozen=True, slots=True)
class BuildShare:
    """A worker and how many builds may be in hand."""

    per_worker: int = 99
    per_user: int = 99
    worker_id: UUID = field(default_factory=uuid4)

    @property
    def quota(self) -> BuildQuota:
        return BuildQuota(self.per_worker, self.per_user)


class Installation(UserRequests):
    """The use cases over one database and one volume, for as long as it is entered.

    Args:
        ports: how many host ports the engine has, from 20000 on.

    Attributes:
        clock: tells the use cases the time; a test may give it another one.
    """

    def __init__(self, database_url: str, volume: Path, *, ports: int = 50) -> None:
        self.url = database_url
        self.ports = ports
        self.clock: Clock = utc_now
        self.signals: list[set[Channel]] = []
        self.pool = create_pool(database_url, application_name="under-test", size=24)
        self.registry = PostgresEngineRegistry(self.pool)
        self.encoder = EventEncoder("container-lifecycle", "image-lifecycle", "/orchestrator/test")
        self.transactions = self.transactions_of(uuid4())
        self.store = VolumeContextStore(volume)
        self.claim_volume = self.claim_of(volume)
        self.reader = PostgresReader(self.pool, self.store.log_tail)

    def __enter__(self) -> Self:
        self.pool.open()
        self.registry.heartbeat(ENGINE, "10.0.0.1", "26.1.5", reachable=True, detail=None)
        self.empty()
        # What was recorded before had another volume.
        self.prepare_volume()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pool.close()

    def claim_of(self, volume: Path) -> ClaimVolume:
        return ClaimVolume(
            VolumeInstallationMark(volume),
            VolumeStoredFiles(volume).found,
            PostgresFolderRecord(self.pool),
        )

    def prepare_volume(self) -> None:
        """Make the folders of a volume on which nothing is, and mark it."""
        self.store.prepare()
        self.claim_volume.claim()

    def transactions_of(self, worker_id: UUID) -> PostgresTransactionRunner:
        return PostgresTransactionRunner(
            self.pool,
            self.encoder,
            uuid_utils.compat.uuid7,
            self.signals.append,
            Claimant(worker_id, seconds=LEASE_SECONDS),
        )

    def empty(self) -> None:
        """Forget everything but the engine and its ports."""
        self.execute(_EMPTY)
        self.registry.set_port_range(ENGINE, FIRST_PORT, FIRST_PORT + self.ports - 1)
        self.signals.clear()

    # ---- what a worker does ----------------------------------------------------------------

    def keep_instances(self, transactions: TransactionRunner | None = None) -> list[Kept]:
        """See to every image that is short, as a worker's turn does."""
        instances = KeepInstances(transactions or self.transactions, self.clock, uuid4)
        return [instances.keep(image_id) for image_id in instances.due()]

    def build(self, image_id: int, transactions: TransactionRunner | None = None) -> None:
        """Carry an image's queued build to success."""

        def work(uow: UnitOfWork) -> None:
            image = uow.images.lock(image_id)
            *_, build_id = uow.builds.ids_of(image_id)
            build = uow.builds.lock(build_id)
            build.begin(ENGINE, self.clock())
            image.place_on(ENGINE)
            build.succeed(f"sha256:{build_id}", LogTail("built", truncated=False), self.clock())
            image.record_built(build, self.clock())
            uow.builds.save(build)
            uow.images.save(image)

        (transactions or self.transactions).run(work)
        self.execute(
            "UPDATE builds SET next_attempt_at = NULL, public_tag_set = true"
            " WHERE status = 'succeeded'"
        )

    def ready_image(
        self,
        user_id: str = "user-1",
        hostname: str = "app.example.com",
        maximum: int = 3,
        minimum: int = 0,
    ) -> int:
        image_id = self.upload(user_id, hostname, maximum, minimum=minimum)
        self.build(image_id)
        return image_id

    def claim(self, *, limit: int = 10, works: tuple[Work, ...] = CONTAINER_WORKS) -> list[Lease]:
        """Claim containers and show the step that is taken for each, as a worker does."""

        def work(uow: UnitOfWork) -> list[Lease]:
            leases = list(uow.leases.claim_containers(ENGINE, works, limit))
            for lease in leases:
                container = uow.containers.lock(lease.id)
                if container.begin():
                    uow.containers.save(container)
            return leases

        return self.transactions.run(work)

    def claim_builds(
        self, share: BuildShare | None = None, *, engine_id: str = ENGINE, limit: int = 10
    ) -> list[Lease]:
        """Claim builds, as a worker of its own with room for everything unless a share is given."""
        share = share or BuildShare()
        return list(
            self.transactions_of(share.worker_id).run(
                lambda uow: uow.leases.claim_builds(engine_id, share.quota, limit)
            )
        )

    def outcomes(
        self, lease: Lease, transactions: TransactionRunner | None = None
    ) -> ContainerOutcomes:
        return ContainerOutcomes(transactions or self.transactions, self.clock, lease)

    def run_container(self, image_id: int | None = None) -> int:
        """Create a container of an image and carry it to running."""
        (container_id,) = self.create(image_id or self.ready_image())
        (lease,) = self.claim()
        self.outcomes(lease).running(seen(container_id))
        return container_id

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        self.transactions.run(lambda uow: uow.leases.settle(lease, settlement))

    def note_missing(self, container_id: int) -> None:
        """Let a complete list have lacked it, as a pass notes it."""
        self.execute(f"UPDATE containers SET missing_since = now() WHERE id = {container_id}")

    def expire_leases(self) -> None:
        """Let so much time pass, for the database, that every lease has run out."""
        for table in ("containers", "builds", "images"):
            self.execute(
                f"UPDATE {table} SET lease_until = lease_until - interval '1 day' "
                "WHERE lease_until IS NOT NULL"
            )

    # ---- what the database holds -----------------------------------------------------------

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[DictRow]:
        with self.pool.connection() as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def row(self, table: str, row_id: int) -> DictRow:
        (row,) = self.rows(f"SELECT * FROM {table} WHERE id = {row_id}")
        return row

    def execute(self, sql: str) -> int:
        with self.pool.connection() as connection:
            return connection.execute(sql.encode()).rowcount

    def told(self, stream: str) -> list[str]:
        """The types of a stream's events, in their order."""
        rows = self.rows(
            "SELECT type FROM events WHERE stream = %(stream)s ORDER BY sequence",
            {"stream": stream},
        )
        return [row["type"] for row in rows]


def utc_now() -> datetime:
    return datetime.now(UTC)
