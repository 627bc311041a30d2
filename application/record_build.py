"""What is recorded of a build in hand: that an attempt begins, and how it ends.

Each method is one part of a transaction in which the lease is held: who lost it records nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from application.errors import EngineError, VolumeUnavailable
from application.leases import Lease, Settlement
from application.ports import Clock, ContextStore
from application.retries import NO_ATTEMPT, settlement_after, settlement_after_break_off
from application.unit_of_work import UnitOfWork
from domain.build import Build, BuildStatus
from domain.image import Image

# A build that took three workers down with it is not tried on a fourth.
MAX_ATTEMPTS = 3
# Nor is one under which engine or database went away so often: by chance that happens a few times.
MAX_BROKEN_OFF = 10

# Disk space comes back when somebody removes something, a volume when somebody mounts it.
NO_ROOM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A build in hand that is to be carried on: to be run, or to be tagged if it has succeeded."""

    build: Build
    image: Image


class RecordBuild:
    """Records the builds of images.

    Args:
        store: what the end of a log is read from.
    """

    def __init__(self, store: ContextStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(
        self, uow: UnitOfWork, lease: Lease, engine_id: str, shortage: str | None
    ) -> Attempt | None:
        """Begin the next attempt, or record why there is none.

        Args:
            shortage: what the volume lacks room for, None if it has enough.
        """
        image, build = self._lock(uow, lease)
        if build.status is BuildStatus.SUCCEEDED:
            return Attempt(build, image)
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
            return Attempt(build, image)
        self._finish(uow, lease, image, build)
        return None

    def succeed(self, uow: UnitOfWork, lease: Lease, docker_image_id: str) -> Attempt:
        """Record what was built; its public tag is still to be set, under the same lease."""
        image, build = self._lock(uow, lease)
        now = self._clock()
        build.succeed(docker_image_id, self._store.log_tail(build.log_path), now)
        image.record_built(build, now)
        uow.builds.save(build)
        uow.images.save(image)
        return Attempt(build, image)

    def fail(self, uow: UnitOfWork, lease: Lease, reason: str) -> None:
        """Record that the build has failed for good."""
        image, build = self._lock(uow, lease)
        self._record_failure(image, build, reason)
        self._finish(uow, lease, image, build)

    def hand_back(self, uow: UnitOfWork, lease: Lease) -> None:
        """Record that the attempt was ended on purpose: at once another one may begin."""
        image, build = self._lock(uow, lease)
        if self._is_cancelled(uow, lease, image, build):
            return
        if build.status is BuildStatus.RUNNING:
            build.hand_back()
            uow.builds.save(build)
        uow.leases.settle(lease, Settlement.again())

    def break_off(self, uow: UnitOfWork, lease: Lease) -> None:
        """Record that engine or database went away under the attempt, whoever is at fault."""
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

    def postpone(
        self, uow: UnitOfWork, lease: Lease, error: EngineError | VolumeUnavailable
    ) -> None:
        """Record that the attempt came to nothing, for a reason that may pass."""
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
