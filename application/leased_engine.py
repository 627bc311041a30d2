"""An engine in the hands of one lease: no call of it can outlive the lease.

A lease fences PostgreSQL, not Docker. So before each call the lease is made to last longer than
the call may take, and a call that is cut off by its limit is over when another worker takes over.
"""

from __future__ import annotations

from application.engine_calls import ContainerOrder
from application.leases import Lease
from application.ports import ContainerEngine
from application.unit_of_work import TransactionRunner
from domain.container import Container
from domain.observation import Observation

# A call that passes its limit is asked to end and killed 5 s later; the rest is for a slow machine.
MARGIN_SECONDS = 8.0

LOG_LINES = 20


class LeasedEngine:
    """The calls that reconciling a container needs, each covered by the lease.

    Raises:
        LeaseLost: by every call, when another worker has taken over.
    """

    def __init__(
        self, engine: ContainerEngine, transactions: TransactionRunner, lease: Lease
    ) -> None:
        self._engine = engine
        self._transactions = transactions
        self._lease = lease

    def engine_id(self) -> str:
        self._cover(self._engine.limits.inspect)
        return self._engine.engine_id()

    def create(self, order: ContainerOrder) -> str:
        self._cover(self._engine.limits.create)
        return self._engine.create(order)

    def start(self, docker_id: str) -> None:
        self._cover(self._engine.limits.start)
        self._engine.start(docker_id)

    def stop(self, docker_id: str, grace_seconds: float) -> None:
        self._cover(self._engine.limits.stop + grace_seconds)
        self._engine.stop(docker_id, grace_seconds)

    def remove(self, docker_id: str) -> None:
        self._cover(self._engine.limits.remove)
        self._engine.remove(docker_id)

    def inspect(self, reference: str, *, dated: bool = False) -> Observation | None:
        self._cover(self._engine.limits.inspect)
        return self._engine.inspect(reference, dated=dated)

    def look_for(self, container: Container, *, dated: bool = False) -> Observation | None:
        """Look for the container by its Docker id, or by its name while that is not known.

        A stranger that bears the name is not it.

        Args:
            dated: whether the end of a run is to be told: the engine's own start tells its cause.
        """
        seen = self.inspect(container.docker_id or container.name, dated=dated)
        return seen if seen is not None and seen.uid == container.uid else None

    def last_words(self, docker_id: str) -> str:
        """Return the last lines that the container wrote; the only call without the lease."""
        return self._engine.log_lines(docker_id, LOG_LINES)

    def _cover(self, seconds: float) -> None:
        lease = self._lease
        self._transactions.run(lambda uow: uow.leases.cover(lease, seconds + MARGIN_SECONDS))
