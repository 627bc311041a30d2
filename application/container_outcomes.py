"""Record what was verified in Docker: one transaction, fenced by the lease that led to it.

What comes up, ends or fails may be an instance that min_instances made: its image learns of it in
the same transaction, and is locked first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from application.leases import Lease, Settlement
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.container_status import ContainerStatus
from domain.events import Cause
from domain.observation import Observation
from domain.restart_policy import RestartBackoff

# Nobody's traffic may reach a stranger: clients and balancers forget an endpoint within a minute.
PORT_COOL_DOWN_SECONDS = 60.0
# A port that a foreigner listens on is not worth another try for a while.
FOREIGN_PORT_SECONDS = 600.0
# A list of the engine is asked for and there by then.
LISTED_AGAIN_SECONDS = 1.0

Change = Callable[[Container, datetime], None]


class ContainerOutcomes:
    """Outcomes of one lease on a container.

    Raises:
        LeaseLost: by every method, with nothing recorded.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        clock: Clock,
        lease: Lease,
        backoff: RestartBackoff | None = None,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._lease = lease
        self._backoff = backoff or RestartBackoff()

    def running(self, seen: Observation) -> None:
        self._settle_instance(lambda container, now: container.record_running(seen, now))

    def exited(self, seen: Observation) -> None:
        self._settle_instance(
            lambda container, now: container.record_exited(seen, now, self._backoff)
        )

    def last_words(self, seen: Observation, logs: str) -> None:
        """Add what it wrote to an end that is recorded; nothing rests on it, so without a lease."""
        if seen.run_id is not None:
            run_id = seen.run_id
            self._transactions.run(
                lambda uow: uow.containers.note_last_words(self._lease.id, run_id, logs)
            )

    def stopped(self, seen: Observation, *, found_ended: bool = False) -> None:
        self._settle(
            lambda container, now: container.record_stopped(seen, now, found_ended=found_ended)
        )

    def failed_start(self, reason: str, logs: str, seen: Observation) -> None:
        self._settle_instance(
            lambda container, now: container.record_failed_start(
                reason, logs, seen, now, self._backoff
            )
        )

    def failed(self, reason: str, logs: str, seen: Observation | None) -> None:
        self._settle_instance(
            lambda container, now: container.record_failed(reason, logs, seen, now),
            frees_port=True,
        )

    def deleted(self) -> None:
        self._settle(lambda container, now: container.record_deleted(now), frees_port=True)

    def vanished(self) -> None:
        """It is gone though nobody here removed it: recorded once a complete list lacks it too.

        Until then a list is asked for, and the container is looked at again.
        """
        self._transactions.run(self._vanish)

    def looked(self) -> None:
        """What was observed is what is recorded; a wish that asks for just this is carried out."""

        def work(uow: UnitOfWork) -> None:
            container = self._lock(uow)
            if container.forget_setback():
                uow.containers.save(container)
            as_wished = self._settlement(container, self._clock())
            settlement = as_wished if container.is_settled else Settlement.looked()
            uow.leases.settle(self._lease, settlement)

        self._transactions.run(work)

    def postponed(self, reason: str, settlement: Settlement) -> None:
        """It could not be done yet, and its user is told why."""

        def work(uow: UnitOfWork) -> None:
            container = self._lock(uow)
            container.note_setback(reason)
            uow.containers.save(container)
            uow.leases.settle(self._lease, settlement)

        self._transactions.run(work)

    def current(self) -> Container:
        """Return the container as it is now: an earlier step may have renamed it."""
        return self._transactions.run(self._lock)

    def run_ended(self, seen: Observation, *, found_ended: bool = False) -> None:
        """Tell that the run is over; the lease goes on, because removal follows."""
        self._change(
            lambda container, now: container.record_run_ended(seen, now, found_ended=found_ended)
        )

    def renamed(self) -> Container:
        """Take another name; the lease goes on."""
        return self._change(lambda container, _: container.rename())

    def moved_port(self) -> Container:
        """Set a port aside that a foreigner holds and reserve another; the lease goes on.

        Raises:
            NoFreePort: there is no other.
        """

        def work(uow: UnitOfWork) -> Container:
            container = self._lock(uow)
            uow.host_ports.release(container.id, FOREIGN_PORT_SECONDS)
            container.move_port(uow.host_ports.reserve(container.spec.engine_id, container.id))
            uow.containers.save(container)
            return container

        return self._transactions.run(work)

    def settle(self, settlement: Settlement) -> None:
        """End the lease without an outcome."""
        self._transactions.run(lambda uow: uow.leases.settle(self._lease, settlement))

    def _change(self, change: Change) -> Container:
        def work(uow: UnitOfWork) -> Container:
            container = self._lock(uow)
            change(container, self._clock())
            uow.containers.save(container)
            return container

        return self._transactions.run(work)

    def _settle(self, change: Change, *, frees_port: bool = False) -> None:
        self._transactions.run(lambda uow: self._record(uow, change, frees_port=frees_port))

    def _settle_instance(self, change: Change, *, frees_port: bool = False) -> None:
        def work(uow: UnitOfWork) -> None:
            image = uow.images.lock(self._lease.image_id)
            was, container = self._record(uow, change, frees_port=frees_port)
            learned = image.replenishment.learned(container, was, uow.now(), self._backoff)
            if image.note_replenishment(learned):
                uow.images.save(image)

        self._transactions.run(work)

    def _vanish(self, uow: UnitOfWork) -> None:
        if uow.containers.is_missing(self._lease.id):
            self._record(
                uow,
                lambda container, now: container.record_deleted(now, cause=Cause.RECONCILER),
                frees_port=True,
            )
            return
        container = self._lock(uow)
        uow.engines.request_pass(container.spec.engine_id)
        uow.leases.settle(self._lease, Settlement.again(LISTED_AGAIN_SECONDS))

    def _record(
        self, uow: UnitOfWork, change: Change, *, frees_port: bool
    ) -> tuple[ContainerStatus, Container]:
        """Record a change; returns the status before it, and the container after it."""
        container, now = self._lock(uow), self._clock()
        was = container.status
        change(container, now)
        container.forget_setback()
        uow.containers.save(container)
        if frees_port:
            uow.host_ports.release(container.id, PORT_COOL_DOWN_SECONDS)
        uow.leases.settle(self._lease, self._settlement(container, now))
        return was, container

    def _settlement(self, container: Container, now: datetime) -> Settlement:
        """Tell whether what was claimed is now so, and whether anything is left to be done.

        A stop that was begun before a start was wished is finished under the start's lease: that
        carries out the stop, not the start.
        """
        claimed = self._lease.desired
        return Settlement(
            applied=claimed is not None and container.fulfils(claimed),
            retry_in_seconds=container.next_step_in(now),
        )

    def _lock(self, uow: UnitOfWork) -> Container:
        uow.leases.hold(self._lease)
        return uow.containers.lock(self._lease.id)
