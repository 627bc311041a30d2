"""Record what was verified in Docker: one transaction, fenced by the lease that led to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from application.leases import Lease, Settlement
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.events import Cause
from domain.observation import Observation

# Nobody's traffic may reach a stranger: clients and balancers forget an endpoint within a minute.
PORT_COOL_DOWN_SECONDS = 60.0
# A port that a foreigner listens on is not worth another try for a while.
FOREIGN_PORT_SECONDS = 600.0

Change = Callable[[Container, datetime], None]


class ContainerOutcomes:
    """Outcomes of one lease on a container.

    Raises:
        LeaseLost: by every method, with nothing recorded.
    """

    def __init__(self, transactions: TransactionRunner, clock: Clock, lease: Lease) -> None:
        self._transactions = transactions
        self._clock = clock
        self._lease = lease

    def running(self, seen: Observation) -> None:
        self._settle(lambda container, now: container.record_running(seen, now))

    def exited(self, seen: Observation) -> None:
        self._settle(lambda container, now: container.record_exited(seen, now))

    def stopped(self, seen: Observation) -> None:
        self._settle(lambda container, now: container.record_stopped(seen, now))

    def failed_start(self, reason: str, logs: str, seen: Observation) -> None:
        self._settle(lambda container, now: container.record_failed_start(reason, logs, seen, now))

    def failed(self, reason: str, logs: str, seen: Observation | None) -> None:
        self._settle(
            lambda container, now: container.record_failed(reason, logs, seen, now),
            frees_port=True,
        )

    def deleted(self) -> None:
        self._settle(lambda container, now: container.record_deleted(now), frees_port=True)

    def vanished(self) -> None:
        """It is gone though nobody here removed it."""
        self._settle(
            lambda container, now: container.record_deleted(now, cause=Cause.RECONCILER),
            frees_port=True,
        )

    def unchanged(self) -> None:
        """What was observed is what is desired."""
        self._settle(None)

    def current(self) -> Container:
        """Return the container as it is now: an earlier step may have renamed it."""
        return self._transactions.run(self._lock)

    def run_ended(self, seen: Observation) -> None:
        """Tell that the run is over; the lease goes on, because removal follows."""
        self._change(lambda container, now: container.record_run_ended(seen, now))

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

    def _settle(self, change: Change | None, *, frees_port: bool = False) -> None:
        def work(uow: UnitOfWork) -> None:
            container = self._lock(uow)
            if change is not None:
                change(container, self._clock())
                uow.containers.save(container)
            if frees_port:
                uow.host_ports.release(container.id, PORT_COOL_DOWN_SECONDS)
            uow.leases.settle(self._lease, self._settlement(container))

        self._transactions.run(work)

    def _settlement(self, container: Container) -> Settlement:
        """Tell whether what was claimed is now so, and whether anything is left to be done.

        A stop that was begun before a start was wished is finished under the start's lease: that
        carries out the stop, not the start.
        """
        claimed = self._lease.desired
        return Settlement(
            applied=claimed is not None and container.fulfils(claimed),
            retry_in_seconds=None if container.is_settled else 0.0,
        )

    def _lock(self, uow: UnitOfWork) -> Container:
        uow.leases.hold(self._lease)
        return uow.containers.lock(self._lease.id)
