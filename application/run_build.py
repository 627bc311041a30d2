"""Run a build: one attempt under a lease, its log live on the volume, its outcome recorded once.

A worker that ends on purpose hands the attempt back; one that dies leaves a lease that runs out,
and the next worker begins the next attempt. One under which the engine or the database goes away is
uncounted too, but not for ever: a step may be what takes them down each time, and with them all
that others have there. So the pause after it grows, in which others' builds come to their end.

The public tag is set after the outcome is recorded, under the same lease
(`application.publish_tag`), so a late result of an earlier attempt can never move it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.build_on_engine import BuildOnEngine
from application.errors import (
    ApplicationError,
    AttemptUnrecorded,
    BuildInterrupted,
    DatabaseUnavailable,
    EngineError,
    EngineRefused,
    EngineWentAway,
    LeaseLost,
    VolumeUnavailable,
)
from application.leases import BuildQuota, Lease
from application.order_build import OrderBuild
from application.ports import Clock, ContainerEngine, ContextStore, DiskSpace
from application.publish_tag import PublishTag
from application.record_build import Attempt, RecordBuild
from application.unit_of_work import TransactionRunner
from domain.build import BuildStatus


class RunBuild:
    """Carries out claimed builds.

    Args:
        note_setback: is told what engine or volume could not do, before it is decided what follows.
        check_volume: raises VolumeUntrusted unless the volume with the contexts is there.
        quota: how many builds may be in hand, of this worker and of each user.
        timeout_seconds: of each attempt, counting time in which the engine answers; after that it
            is ended and the build has failed, BUILD_TIMEOUT_SECONDS.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        engine: ContainerEngine,
        store: ContextStore,
        clock: Clock,
        note_setback: Callable[[Lease, ApplicationError], None],
        quota: BuildQuota,
        space: DiskSpace,
        check_volume: Callable[[], None],
        *,
        timeout_seconds: float,
    ) -> None:
        self._transactions = transactions
        self._on_engine = BuildOnEngine(engine, note_setback)
        self._record = RecordBuild(store, clock)
        self._note_setback = note_setback
        self._quota = quota
        self._publish_tag = PublishTag(transactions, engine)
        self._space = space
        self._orders = OrderBuild(store, check_volume, timeout_seconds=timeout_seconds)

    def claim(self, engine_id: str, limit: int) -> Sequence[Lease]:
        """Claim builds that are due, as many as the quota has room for."""
        return self._transactions.run(
            lambda uow: uow.leases.claim_builds(engine_id, self._quota, limit)
        )

    def act(self, lease: Lease, engine_id: str) -> None:
        """Carry a claimed build on to its end.

        Raises:
            LeaseLost: another worker took over; nothing was recorded.
            AttemptUnrecorded: nothing was recorded of how it ended: `hand_back` is due.
            DatabaseUnavailable: nothing was begun; the lease runs out by itself.
        """
        shortage = self._space.shortage()
        attempt = self._transactions.run(
            lambda uow: self._record.begin(uow, lease, engine_id, shortage)
        )
        if attempt is None:
            return
        try:
            self._carry_out(lease, attempt, engine_id)
        except DatabaseUnavailable as exc:
            raise AttemptUnrecorded(str(exc)) from exc

    def hand_back(self, lease: Lease) -> None:
        """Give up a lease under which an attempt was begun whose end is unrecorded.

        Raises:
            LeaseLost: another worker took over, or the end of the attempt was recorded after all.
            DatabaseUnavailable: it is due still.
        """
        self._transactions.run(lambda uow: self._record.break_off(uow, lease))

    def _carry_out(self, lease: Lease, attempt: Attempt, engine_id: str) -> None:
        try:
            if attempt.build.status is BuildStatus.RUNNING:
                attempt = self._build(lease, attempt, engine_id)
            with self._on_engine.weighing(lease, engine_id):
                self._publish_tag.act(lease, attempt.image, attempt.build)
        except BuildInterrupted:
            self._transactions.run(lambda uow: self._record.hand_back(uow, lease))
        except VolumeUnavailable as exc:
            waits_for = exc
            self._note_setback(lease, waits_for)
            self._transactions.run(lambda uow: self._record.postpone(uow, lease, waits_for))
        except EngineWentAway:
            self._transactions.run(lambda uow: self._record.break_off(uow, lease))
        except EngineRefused as exc:
            reason = str(exc)
            self._transactions.run(lambda uow: self._record.fail(uow, lease, reason))
        except EngineError as exc:
            error = exc
            self._transactions.run(lambda uow: self._record.postpone(uow, lease, error))

    def _build(self, lease: Lease, attempt: Attempt, engine_id: str) -> Attempt:
        order = self._orders.order(attempt.image, attempt.build)
        docker_image_id = self._on_engine.build(lease, order, engine_id)
        try:
            return self._transactions.run(
                lambda uow: self._record.succeed(uow, lease, docker_image_id)
            )
        except LeaseLost:
            self._publish_tag.give_back_build_tag(lease)
            raise
