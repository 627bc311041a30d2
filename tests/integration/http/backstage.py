"""A worker without an engine: records what a real one would have seen in Docker.

It drives the same use cases over the same database as the worker does, so that every row an api
test reads was written by the service's own code.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Self, TypeVar

import uuid_utils.compat

from adapters.postgres.claims import Claimant
from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.pool import create_pool
from adapters.postgres.signals import PostgresNotifier
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.wire.events import EventEncoder
from application.container_outcomes import ContainerOutcomes
from application.keep_instances import KeepInstances
from application.leases import BuildQuota, Lease, Settlement, Work
from application.unit_of_work import UnitOfWork
from domain.build import LogTail
from domain.container import Container
from domain.container_status import ContainerStatus
from domain.observation import Observation
from domain.restart_policy import RestartBackoff

ENGINE_ID = "engine-of-the-test"
HOST = "192.0.2.7"
PORTS = (20000, 20099)
DIGEST = "sha256:" + "d" * 64
DEADLINE_SECONDS = 10.0

T = TypeVar("T")


def now() -> datetime:
    return datetime.now(UTC)


class Backstage:
    """Acts as the worker of one database. A context manager.

    Args:
        database_url: the api's database.
        notifying: whether it sends wake-ups; without them the api has to find out by polling.
    """

    def __init__(self, database_url: str, *, notifying: bool = True) -> None:
        self._pool = create_pool(database_url, application_name="backstage", size=2)
        self._quota = BuildQuota(per_worker=99, per_user=99)
        self._notifier = PostgresNotifier(database_url)
        self._registry = PostgresEngineRegistry(self._pool)
        self._transactions = PostgresTransactionRunner(
            self._pool,
            EventEncoder("container-lifecycle", "image-lifecycle", "/orchestrator/test"),
            uuid_utils.compat.uuid7,
            self._notifier.signal if notifying else lambda _: None,
            Claimant(uuid.uuid4(), seconds=60.0),
        )

    def __enter__(self) -> Self:
        self._pool.open(wait=True, timeout=10.0)
        self._notifier.start()
        self._registry.heartbeat(ENGINE_ID, HOST, "test", reachable=True, detail=None)
        self._registry.set_port_range(ENGINE_ID, *PORTS)
        return self

    def __exit__(self, *_: object) -> None:
        self._notifier.close()
        self._pool.close(timeout=1.0)

    @contextlib.contextmanager
    def without_ports(self) -> Iterator[None]:
        """Leave the engine no host port but those that containers hold."""
        self._registry.set_port_range(ENGINE_ID, 1, 0)
        try:
            yield
        finally:
            self._registry.set_port_range(ENGINE_ID, *PORTS)

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        return self._transactions.run(work)

    # ---- builds ----------------------------------------------------------------------------

    def begin_build(self, image_id: int) -> Lease:
        """Claim the image's queued build and begin it."""
        lease = self._claimed(
            image_id, lambda uow: uow.leases.claim_builds(ENGINE_ID, self._quota, 99)
        )

        def work(uow: UnitOfWork) -> None:
            image, build = uow.images.lock(image_id), uow.builds.lock(lease.id)
            build.begin(ENGINE_ID, now())
            image.place_on(ENGINE_ID)
            uow.builds.save(build)
            uow.images.save(image)

        self.run(work)
        return lease

    def end_build(self, lease: Lease, log: str, *, error: str | None = None) -> None:
        """Record how a build ended that was begun."""

        def work(uow: UnitOfWork) -> None:
            image, build = uow.images.lock(lease.image_id), uow.builds.lock(lease.id)
            if error is None:
                build.succeed(DIGEST, LogTail.of(log), now())
                image.record_built(build, now())
                build.mark_public_tag_set()
            else:
                build.fail(error, LogTail.of(log), now())
                image.record_build_failed(build, now())
            uow.builds.save(build)
            uow.images.save(image)
            uow.leases.settle(lease, Settlement.done())

        self.run(work)

    def end_cancelled_build(self, lease: Lease, log: str = "") -> None:
        """Record that a build was ended whose cancel its worker has heard of."""

        def work(uow: UnitOfWork) -> None:
            image, build = uow.images.lock(lease.image_id), uow.builds.lock(lease.id)
            assert build.cancel_requested
            build.cancel(LogTail.of(log), now())
            image.record_build_cancelled(build, now())
            uow.builds.save(build)
            uow.images.save(image)
            uow.leases.settle(lease, Settlement.done())

        self.run(work)

    def build(self, image_id: int) -> None:
        self.end_build(self.begin_build(image_id), "built\n")

    def remove_image(self, image_id: int) -> None:
        """Record that nothing is left of an image that is to be deleted."""
        lease = self._claimed(image_id, lambda uow: uow.leases.claim_image_removals(ENGINE_ID, 99))

        def work(uow: UnitOfWork) -> None:
            image = uow.images.lock(image_id)
            image.record_deleted(now())
            uow.images.save(image)
            uow.hostnames.release_unheld(image.spec.app_hostname)
            uow.leases.settle(lease, Settlement.done())

        self.run(work)

    # ---- containers ------------------------------------------------------------------------

    def work_off(self, image_id: int, count: int = 1, *, failure: str | None = None) -> None:
        """Carry out `count` wishes for containers of an image as they come, or let starts fail."""
        for _ in range(count):
            lease = self._claimed(
                image_id, lambda uow: uow.leases.claim_containers(ENGINE_ID, list(Work), 99)
            )
            container = self.run(lambda uow: _begun(uow, lease))  # noqa: B023 - runs at once
            self._carry_out(lease, container, failure)

    def keep_instances(self, image_id: int) -> None:
        """See to the image's min_instances, if anything is due."""
        instances = KeepInstances(self._transactions, now, uuid.uuid4)
        if image_id in instances.due():
            instances.keep(image_id)

    def crash(self, container_id: int) -> None:
        """Record that a running container was seen not running."""

        def work(uow: UnitOfWork) -> None:
            container = uow.containers.lock(container_id)
            container.record_exited(_seen(container, exit_code=137), now(), RestartBackoff())
            uow.containers.save(container)

        self.run(work)

    def _carry_out(self, lease: Lease, container: Container, failure: str | None) -> None:
        outcomes = ContainerOutcomes(self._transactions, now, lease)
        if container.status is ContainerStatus.DELETING:
            if container.open_run_id is not None:
                outcomes.run_ended(_seen(container, exit_code=0))
            outcomes.deleted()
        elif lease.work is Work.STOP:
            outcomes.stopped(_seen(container, exit_code=0))
        elif failure is not None:
            outcomes.failed(failure, "its last words", None)
        else:
            outcomes.running(_seen(container, exit_code=None))

    def _claimed(self, image_id: int, claim: Callable[[UnitOfWork], Sequence[Lease]]) -> Lease:
        """Wait until something of the image can be claimed; the api may be about to record it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            mine: list[Lease] = []
            for lease in self.run(claim):
                if lease.image_id == image_id and not mine:
                    mine.append(lease)
                else:
                    self._hand_back(lease)
            if mine:
                return mine[0]
            assert time.monotonic() < deadline, "nothing to do"
            Event().wait(0.02)

    def _hand_back(self, lease: Lease) -> None:
        self.run(lambda uow: uow.leases.settle(lease, Settlement.again()))


def _begun(uow: UnitOfWork, lease: Lease) -> Container:
    container = uow.containers.lock(lease.id)
    if container.begin():
        uow.containers.save(container)
    return container


def _seen(container: Container, *, exit_code: int | None) -> Observation:
    """What Docker would tell of the container."""
    running = exit_code is None
    return Observation(
        docker_id=container.docker_id or uuid.uuid4().hex * 2,
        name=container.name,
        uid=container.uid,
        installation_id="test",
        spec_hash=None,
        running=running,
        started_at=now() if running else container.started_at,
        finished_at=None if running else now(),
        exit_code=exit_code,
        oom_killed=False,
        container_ip="172.17.0.9" if running else None,
    )
