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
from dataclasses import dataclass

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
from application.leases import BuildQuota, Lease, Settlement
from application.order_build import OrderBuild
from application.ports import Clock, ContainerEngine, ContextStore, DiskSpace
from application.publish_tag import PublishTag
from application.retries import NO_ATTEMPT, settlement_after, settlement_after_break_off
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import Build, BuildStatus
from domain.image import Image

# A build that took three workers down with it is not tried on a fourth.
MAX_ATTEMPTS = 3
# Nor is one under which engine or database went away so often: by chance that happens a few times.
MAX_BROKEN_OFF = 10

# Disk space comes back when somebody removes something, a volume when somebody mounts it.
NO_ROOM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    build: Build
    image: Image


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
        self._store = store
        self._clock = clock
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
        attempt = self._transactions.run(lambda uow: self._begin(uow, lease, engine_id, shortage))
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
        self._transactions.run(lambda uow: self._break_off(uow, lease))

    def _carry_out(self, lease: Lease, attempt: _Attempt, engine_id: str) -> None:
        try:
            if attempt.build.status is BuildStatus.RUNNING:
                attempt = self._build(lease, attempt, engine_id)
            with self._on_engine.weighing(lease, engine_id):
                self._publish_tag.act(lease, attempt.image, attempt.build)
        except BuildInterrupted:
            self._transactions.run(lambda uow: self._interrupted(uow, lease))
        except VolumeUnavailable as exc:
            waits_for = exc
            self._note_setback(lease, waits_for)
            self._transactions.run(lambda uow: self._postpone(uow, lease, waits_for))
        except EngineWentAway:
            self._transactions.run(lambda uow: self._break_off(uow, lease))
        except EngineRefused as exc:
            reason = str(exc)
            self._transactions.run(lambda uow: self._fail(uow, lease, reason))
        except EngineError as exc:
            error = exc
            self._transactions.run(lambda uow: self._postpone(uow, lease, error))

    def _build(self, lease: Lease, attempt: _Attempt, engine_id: str) -> _Attempt:
        order = self._orders.order(attempt.image, attempt.build)
        docker_image_id = self._on_engine.build(lease, order, engine_id)
        try:
            return self._transactions.run(lambda uow: self._succeed(uow, lease, docker_image_id))
        except LeaseLost:
            self._publish_tag.give_back_build_tag(lease)
            raise

    def _begin(
        self, uow: UnitOfWork, lease: Lease, engine_id: str, shortage: str | None
    ) -> _Attempt | None:
        image, build = self._lock(uow, lease)
        if build.status is BuildStatus.SUCCEEDED:
            return _Attempt(build, image)
        if build.is_finished:
            # Between the claim and now it, or its image, was not wanted any more.
            uow.leases.settle(lease, Settlement.done())
            return None
        now = self._clock()
        if build.cancel_requested:
            self._cancel(image, build)
        elif build.attempt >= MAX_ATTEMPTS:
            reason = f"given up after {MAX_ATTEMPTS} attempts that did not end"
            if build.status_reason is not None:
                reason = f"{reason}: {build.status_reason}"
            self._record_failure(image, build, reason)
        elif shortage is not None:
            if image.note_build_delayed(f"the build waits for disk space: {shortage}"):
                uow.images.save(image)
            uow.leases.settle(lease, Settlement.again(NO_ROOM_SECONDS))
            return None
        else:
            build.begin(engine_id, now)
            image.place_on(engine_id)
            image.note_build_delayed(None)
            uow.builds.save(build)
            uow.images.save(image)
            return _Attempt(build, image)
        self._finish(uow, lease, image, build)
        return None

    def _succeed(self, uow: UnitOfWork, lease: Lease, docker_image_id: str) -> _Attempt:
        image, build = self._lock(uow, lease)
        now = self._clock()
        build.succeed(docker_image_id, self._store.log_tail(build.log_path), now)
        image.record_built(build, now)
        uow.builds.save(build)
        uow.images.save(image)
        return _Attempt(build, image)

    def _fail(self, uow: UnitOfWork, lease: Lease, reason: str) -> None:
        image, build = self._lock(uow, lease)
        self._record_failure(image, build, reason)
        self._finish(uow, lease, image, build)

    def _interrupted(self, uow: UnitOfWork, lease: Lease) -> None:
        image, build = self._lock(uow, lease)
        if self._is_cancelled(uow, lease, image, build):
            return
        if build.status is BuildStatus.RUNNING:
            build.hand_back()
            uow.builds.save(build)
        uow.leases.settle(lease, Settlement.again())

    def _break_off(self, uow: UnitOfWork, lease: Lease) -> None:
        image, build = self._lock(uow, lease)
        if self._is_cancelled(uow, lease, image, build):
            return
        if build.status is not BuildStatus.RUNNING:
            uow.leases.settle(lease, Settlement.again())
            return
        build.break_off()
        if build.broken_off >= MAX_BROKEN_OFF:
            times = f"each of {MAX_BROKEN_OFF} attempts"
            self._record_failure(
                image, build, f"given up: the engine or the database went away in {times}"
            )
            self._finish(uow, lease, image, build)
            return
        uow.builds.save(build)
        uow.leases.settle(lease, settlement_after_break_off(build.broken_off))

    def _postpone(
        self, uow: UnitOfWork, lease: Lease, error: EngineError | VolumeUnavailable
    ) -> None:
        image, build = self._lock(uow, lease)
        if self._is_cancelled(uow, lease, image, build):
            return
        if build.status is BuildStatus.RUNNING:
            if isinstance(error, (*NO_ATTEMPT, VolumeUnavailable)):
                build.hand_back()
            else:
                build.note_setback(str(error))
            uow.builds.save(build)
        if isinstance(error, VolumeUnavailable):
            if image.note_build_delayed("the build waits for the volume that its context is on"):
                uow.images.save(image)
            uow.leases.settle(lease, Settlement.again(NO_ROOM_SECONDS))
            return
        uow.leases.settle(lease, settlement_after(error, lease.attempts))

    def _record_failure(self, image: Image, build: Build, reason: str) -> None:
        now = self._clock()
        build.fail(reason, self._store.log_tail(build.log_path), now)
        image.record_build_failed(build, now)

    def _is_cancelled(self, uow: UnitOfWork, lease: Lease, image: Image, build: Build) -> bool:
        """See to a wish that came meanwhile: what was to be ended has ended, if not by that."""
        if build.status is not BuildStatus.RUNNING or not build.cancel_requested:
            return False
        self._cancel(image, build)
        self._finish(uow, lease, image, build)
        return True

    def _cancel(self, image: Image, build: Build) -> None:
        now = self._clock()
        build.cancel(self._store.log_tail(build.log_path), now)
        image.record_build_cancelled(build, now)

    def _finish(self, uow: UnitOfWork, lease: Lease, image: Image, build: Build) -> None:
        uow.builds.save(build)
        uow.images.save(image)
        uow.leases.settle(lease, Settlement.done())

    def _lock(self, uow: UnitOfWork, lease: Lease) -> tuple[Image, Build]:
        image = uow.images.lock(lease.image_id)
        uow.leases.hold(lease)
        return image, uow.builds.lock(lease.id)
