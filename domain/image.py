"""An image: an uploaded context, its last build, and the limits of containers made from it.

    building -> ready | build_failed | build_cancelled     a rebuild goes through building again
    registered -> building                                 the legacy status of old rows
    any -> deleting -> deleted

`status` tells of the last build. Containers need `active_build_id`, the last good build, so an
image whose rebuild failed still serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from domain.build import Build
from domain.errors import (
    ImageHasLiveContainers,
    ImageInDeletion,
    ImageNotUsable,
    ImageRefuses,
    MaxBelowLiveContainers,
)
from domain.events import Cause, ImageEvent, ImageEventType
from domain.instances import Fleet, Replenishment
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy
from domain.transitions import Table, guard


class ImageStatus(StrEnum):
    REGISTERED = "registered"
    BUILDING = "building"
    READY = "ready"
    BUILD_FAILED = "build_failed"
    BUILD_CANCELLED = "build_cancelled"
    DELETING = "deleting"
    DELETED = "deleted"


_S = ImageStatus
_SETTLED = frozenset({_S.BUILDING, _S.DELETING})

TRANSITIONS: Table[ImageStatus] = {
    _S.REGISTERED: _SETTLED,
    _S.BUILDING: frozenset({_S.READY, _S.BUILD_FAILED, _S.BUILD_CANCELLED, _S.DELETING}),
    _S.READY: _SETTLED,
    _S.BUILD_FAILED: _SETTLED,
    _S.BUILD_CANCELLED: _SETTLED,
    _S.DELETING: frozenset({_S.DELETED}),
    _S.DELETED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What a user asked for when uploading; every value has passed its grammar.

    Attributes:
        container_port: the port that the app listens on inside its container.
        restart_policy: of the containers that are made from it.
    """

    user_id: str
    name: str
    tag: str
    app_hostname: str
    container_port: int
    instances: InstanceLimits
    resources: ResourceLimits
    restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE


def repository_of(user_id: str, image_id: int) -> str:
    """The repository of an image's tags in Docker."""
    return f"nvidia-app-u{user_id}-i{image_id}"


@dataclass(slots=True, eq=False)
class Image:
    """An image of a user; its identity is `id`."""

    id: int
    spec: ImageSpec
    source_path: str
    status: ImageStatus
    created_at: datetime
    updated_at: datetime
    status_reason: str | None = None
    active_build_id: int | None = None
    engine_id: str | None = None
    sequence: int = 0
    request_id: str | None = None
    replenishment: Replenishment = field(default_factory=Replenishment)
    events: list[ImageEvent] = field(default_factory=list)

    @classmethod
    def upload(
        cls,
        image_id: int,
        build_id: int,
        spec: ImageSpec,
        source_path: str,
        *,
        now: datetime,
        request_id: str,
    ) -> Image:
        """Register an uploaded context whose first build is queued."""
        image = cls(image_id, spec, source_path, ImageStatus.BUILDING, now, now)
        image.request_id = request_id
        image._raise(ImageEventType.BUILD_STARTED, None, Cause.API, now, build_id)
        return image

    @property
    def public_tag(self) -> str:
        """The Docker tag under which users know the image."""
        return f"{self.repository}:{self.spec.tag}"

    @property
    def repository(self) -> str:
        return repository_of(self.spec.user_id, self.id)

    def build_tag(self, build_id: int) -> str:
        """The Docker tag of one build's result."""
        return f"{self.repository}:b{build_id}"

    @property
    def is_deleting(self) -> bool:
        return self.status in {ImageStatus.DELETING, ImageStatus.DELETED}

    @property
    def is_deleted(self) -> bool:
        return self.status is ImageStatus.DELETED

    def place_on(self, engine_id: str) -> None:
        """Note the engine that holds the image's builds."""
        self.engine_id = engine_id

    def admit_containers(self, live: int, requested: int) -> int:
        """Check that containers may be created now.

        Args:
            live: containers of this image that are neither failed nor deleted.
            requested: how many more are asked for.

        Returns:
            The build that they are created from.

        Raises:
            ImageNotUsable: without a good build, or in deletion.
            InstanceLimitReached: if not all of them fit.
        """
        if self.active_build_id is None or self.is_deleting:
            raise ImageNotUsable(self.status)
        self.spec.instances.admit(live, requested)
        return self.active_build_id

    def request_rebuild(self, build_id: int, *, now: datetime, request_id: str) -> None:
        """Queue another build of the stored context; the last good build stays in use meanwhile.

        Raises:
            ImageRefuses: while it builds, or in deletion.
        """
        if self.status is ImageStatus.BUILDING:
            raise ImageRefuses(self.status, "rebuild", "cancel the build first, or let it end")
        if self.is_deleting:
            raise ImageRefuses(self.status, "rebuild", "upload it again")
        previous = self._move(ImageStatus.BUILDING, None, now)
        self.request_id = request_id
        self._raise(ImageEventType.BUILD_STARTED, previous, Cause.API, now, build_id)

    def request_cancel(self, request_id: str) -> None:
        """Wish the build that is queued or runs ended.

        Raises:
            ImageRefuses: no build of it is queued or runs, or it is in deletion.
        """
        if self.is_deleting:
            raise ImageRefuses(self.status, "cancel", "its build ends with it")
        if self.status is not ImageStatus.BUILDING:
            raise ImageRefuses(self.status, "cancel", "no build of it is queued or runs")
        self.request_id = request_id

    def note_build_delayed(self, reason: str | None) -> bool:
        """Show why the build has not begun, None once it has; return whether that is news."""
        if self.status is not ImageStatus.BUILDING or self.status_reason == reason:
            return False
        self.status_reason = reason
        return True

    def reconfigure(
        self,
        instances: InstanceLimits,
        resources: ResourceLimits,
        restart_policy: RestartPolicy,
        *,
        live: int,
        now: datetime,
    ) -> None:
        """Change what holds for its containers: their number at once, the rest for new ones.

        Args:
            instances: how many there may be and have to be.
            resources: what each may use.
            restart_policy: which ends of theirs are answered with a start.
            live: containers of this image that are neither failed nor deleted.
            now: the time of the change.

        Raises:
            ImageInDeletion: nothing is changed any more.
            MaxBelowLiveContainers: there are more than the new maximum.
        """
        if self.is_deleting:
            raise ImageInDeletion
        if live > instances.maximum:
            raise MaxBelowLiveContainers(instances.maximum, live)
        self.spec = replace(
            self.spec, instances=instances, resources=resources, restart_policy=restart_policy
        )
        self.updated_at = now
        # What failed before may have failed for want of just this.
        self.replenishment = Replenishment()

    def admit_stop(self, left: int) -> None:
        """Check that a container may be stopped, which leaves `left` others wished running.

        Raises:
            BelowMinInstances: if those are too few.
        """
        if not self.is_deleting:
            self.spec.instances.admit_stop(left)

    def instances_due(self, fleet: Fleet, now: datetime) -> int:
        """Return how many containers are to be started or made now for min_instances."""
        if self.active_build_id is None or self.is_deleting:
            return 0
        return fleet.due(self.spec.instances, self.replenishment, now)

    def note_replenishment(self, replenishment: Replenishment) -> bool:
        """Take over what has become of its instances; returns whether that is anything new."""
        changed = replenishment != self.replenishment
        self.replenishment = replenishment
        return changed

    def record_built(self, build: Build, now: datetime) -> None:
        """Take over the result of a build that succeeded, unless the image is being deleted."""
        if self.is_deleting:
            return
        previous = self._move(ImageStatus.READY, None, now)
        self.active_build_id = build.id
        # What failed before was made from another build.
        self.replenishment = Replenishment()
        self._raise(
            ImageEventType.READY, previous, Cause.BUILD, now, build.id, build.docker_image_id
        )

    def record_build_failed(self, build: Build, now: datetime) -> None:
        """Tell that a build failed; the last good build stays in use."""
        if self.is_deleting:
            return
        previous = self._move(ImageStatus.BUILD_FAILED, build.status_reason, now)
        self._raise(ImageEventType.BUILD_FAILED, previous, Cause.BUILD, now, build.id)

    def record_build_cancelled(self, build: Build, now: datetime) -> None:
        """Tell that a build was cancelled; of an image in deletion its status stays."""
        previous = self.status
        if self.status is not ImageStatus.DELETING:
            self._move(ImageStatus.BUILD_CANCELLED, build.status_reason, now)
        self._raise(ImageEventType.BUILD_CANCELLED, previous, Cause.API, now, build.id)

    def lose_engine(
        self, engine_id: str, active_build: Build | None, reason: str, now: datetime
    ) -> None:
        """Note that an engine is gone for good, and with it what was built on it.

        An image that was ready is told as failed; a build that is queued or runs goes on elsewhere.

        Args:
            active_build: the last good build, None if there is none.
            reason: what the user should know, in one sentence.
        """
        if self.engine_id == engine_id:
            self.engine_id = None
        if active_build is None or active_build.engine_id != engine_id:
            return
        self.active_build_id = None
        if self.status is ImageStatus.READY:
            # As if it had been built again, in vain: a build that is over fails no more by itself.
            previous = self._move(ImageStatus.BUILDING, None, now)
            self._move(ImageStatus.BUILD_FAILED, reason, now)
            self._raise(
                ImageEventType.BUILD_FAILED, previous, Cause.RECONCILER, now, active_build.id
            )
        elif not self.is_deleting and self.status is not ImageStatus.BUILDING:
            self.status_reason, self.updated_at = reason, now

    def request_delete(self, live: int, *, now: datetime, request_id: str) -> bool:
        """Wish the image gone; repeating the wish changes nothing.

        Args:
            live: containers of this image that live, and do not go with it.

        Returns:
            Whether this was the first such wish.

        Raises:
            ImageHasLiveContainers: while any lives.
        """
        if self.is_deleting:
            return False
        if live:
            raise ImageHasLiveContainers(live)
        self._move(ImageStatus.DELETING, None, now)
        self.request_id = request_id
        return True

    def record_deleted(self, now: datetime) -> None:
        """Tell that nothing of the image is left in Docker or on disk."""
        previous = self._move(ImageStatus.DELETED, None, now)
        self._raise(ImageEventType.DELETED, previous, Cause.API, now)

    def _move(self, to: ImageStatus, reason: str | None, now: datetime) -> ImageStatus:
        previous = self.status
        guard("image", TRANSITIONS, previous, to)
        self.status, self.status_reason, self.updated_at = to, reason, now
        return previous

    def _raise(
        self,
        type_: ImageEventType,
        previous: ImageStatus | None,
        cause: Cause,
        now: datetime,
        build_id: int | None = None,
        digest: str | None = None,
    ) -> None:
        self.sequence += 1
        spec = self.spec
        self.events.append(
            ImageEvent(
                type=type_,
                sequence=self.sequence,
                image_id=self.id,
                user_id=spec.user_id,
                name=spec.name,
                tag=spec.tag,
                app_hostname=spec.app_hostname,
                build_id=build_id,
                image_digest=digest,
                previous_status=previous,
                status=self.status,
                status_reason=self.status_reason,
                cause=cause,
                occurred_at=now,
                request_id=self.request_id,
            )
        )
