"""Move a container from what is observed to what is desired: the one code path to Docker.

Carrying out a request and repairing after a crash are the same thing. A claim shows the step that
is taken (`begin`), the step acts on Docker outside any transaction, and its outcome is recorded
under the lease. A start needs its port to answer, which takes a while and holds no thread: `act`
then returns a probe, and `conclude` goes on when the prober has a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from application.bring_up_container import BringUpContainer, Probe, Verdict
from application.container_outcomes import ContainerOutcomes
from application.errors import EngineError, EngineExhausted, EngineInterrupted, UnreadableRow
from application.leased_engine import LeasedEngine
from application.leases import Lease, Settlement, Work
from application.observe_container import observe
from application.ports import Clock, ContainerEngine
from application.retries import NO_ATTEMPT, settlement_after, weighed
from application.take_down_container import TakeDownContainer
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.container_status import ContainerStatus
from domain.restart_policy import RestartBackoff

# A new container that finds no room this often is given up: its slot serves somebody else better.
EXHAUSTED_ATTEMPTS = 5
# Any other trouble: about two minutes of backoff in which the engine answered each time.
CREATE_ATTEMPTS = 8
# What this version cannot read waits for the worker that follows.
UNREADABLE_RETRY_SECONDS = 5.0

_Unreadable = tuple[Lease, UnreadableRow]


@dataclass(frozen=True, slots=True)
class ContainerClaim:
    """A container in the hands of this worker, as it was when it was claimed."""

    lease: Lease
    container: Container


class ReconcileContainer:
    """Carries out one step for one claimed container.

    Args:
        note_setback: is told what the engine could not do, before it is decided what follows, and
            what could not be read.
        backoff: how long a container that ended rests before its policy starts it again.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        engine: ContainerEngine,
        clock: Clock,
        bring_up: BringUpContainer,
        take_down: TakeDownContainer,
        note_setback: Callable[[Lease, EngineError | UnreadableRow], None],
        backoff: RestartBackoff | None = None,
    ) -> None:
        self._transactions = transactions
        self._engine = engine
        self._clock = clock
        self._bring_up = bring_up
        self._take_down = take_down
        self._note_setback = note_setback
        self._backoff = backoff or RestartBackoff()

    def claim(self, engine_id: str, works: Collection[Work], limit: int) -> list[ContainerClaim]:
        """Claim what is due and show the step that is taken for each.

        One that a newer version wrote is left to that one for a while, and keeps nobody waiting.
        """

        def work(uow: UnitOfWork) -> tuple[list[ContainerClaim], list[_Unreadable]]:
            claims, unreadable = [], []
            for lease in uow.leases.claim_containers(engine_id, works, limit):
                try:
                    container = uow.containers.lock(lease.id)
                except UnreadableRow as exc:
                    settlement = Settlement.handed_back(lease, UNREADABLE_RETRY_SECONDS)
                    uow.leases.settle(lease, settlement)
                    unreadable.append((lease, exc))
                    continue
                if lease.work is not Work.OBSERVE and container.begin():
                    uow.containers.save(container)
                claims.append(ContainerClaim(lease, container))
            return claims, unreadable

        claims, unreadable = self._transactions.run(work)
        for lease, error in unreadable:
            self._note_setback(lease, error)
        return claims

    def act(self, claim: ContainerClaim) -> Probe | None:
        """Take the step; a probe is returned when the port has to answer before it is done.

        Raises:
            LeaseLost: another worker took over; nothing was recorded.
            DatabaseUnavailable: nothing was recorded; the lease runs out by itself.
        """
        engine, outcomes = self._tools(claim.lease)
        return self._guarded(claim, lambda: self._step(claim, engine, outcomes))

    def conclude(self, claim: ContainerClaim, probe: Probe, verdict: Verdict) -> Probe | None:
        """Go on with a start when the prober has a verdict; raises as `act`."""
        engine, outcomes = self._tools(claim.lease)
        return self._guarded(
            claim, lambda: self._bring_up.conclude(engine, outcomes, probe, verdict)
        )

    def _step(
        self, claim: ContainerClaim, engine: LeasedEngine, outcomes: ContainerOutcomes
    ) -> Probe | None:
        container = claim.container
        if container.status is ContainerStatus.DELETED:
            # It went while its deletion was wished, or a look suggested: all is carried out.
            outcomes.looked()
        elif claim.lease.work is Work.DELETE:
            self._take_down.delete(engine, outcomes, container)
        elif claim.lease.work is Work.STOP:
            self._take_down.stop(engine, outcomes, container)
        elif claim.lease.work is Work.START:
            return self._bring_up.start(engine, outcomes, container)
        else:
            observe(engine, outcomes, container)
        return None

    def _guarded(self, claim: ContainerClaim, step: Callable[[], Probe | None]) -> Probe | None:
        """Take a step; what the engine could not do decides when it is tried again."""
        try:
            return step()
        except EngineError as exc:
            if not isinstance(exc, EngineInterrupted):
                self._note_setback(claim.lease, exc)
            self._after(exc, claim)
            return None

    def _after(self, error: EngineError, claim: ContainerClaim) -> None:
        engine, outcomes = self._tools(claim.lease)
        attempts = claim.lease.attempts
        if claim.lease.work is Work.OBSERVE and not claim.container.has_new_wish:
            # Nothing is known, so nothing changes; the next pass looks again at what it nominated.
            ripe = claim.lease.ripe
            outcomes.settle(settlement_after(error, attempts) if ripe else Settlement.looked())
            return
        error = weighed(error, claim.container.spec.engine_id, engine.engine_id)
        ceiling = EXHAUSTED_ATTEMPTS if isinstance(error, EngineExhausted) else CREATE_ATTEMPTS
        hopeless = attempts >= ceiling and not isinstance(error, NO_ATTEMPT)
        if hopeless and claim.lease.work is Work.START:
            try:
                self._bring_up.give_up(engine, outcomes, str(error))
            except EngineError as exc:
                error = exc
            else:
                return
        settlement = settlement_after(error, attempts)
        if isinstance(error, EngineInterrupted):
            # That this worker ends is nothing that its user waits for.
            outcomes.settle(settlement)
        else:
            outcomes.postponed(str(error), settlement)

    def _tools(self, lease: Lease) -> tuple[LeasedEngine, ContainerOutcomes]:
        return (
            LeasedEngine(self._engine, self._transactions, lease),
            ContainerOutcomes(self._transactions, self._clock, lease, self._backoff),
        )
