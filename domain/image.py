"""An image: an uploaded context, its last build, and the limits of containers made from it.

`status` tells of the last build. Containers need `active_build_id`, the last good build, so an
image whose rebuild failed still serves (`image_builds`). Events are raised while the state changes,
so that none is recorded without the other (`image_state`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import (
    ImageHasLiveContainers,
    ImageInDeletion,
    ImageNotUsable,
    MaxBelowLiveContainers,
)
from domain.events import Cause, ImageEventType
from domain.image_builds import ImageBuilds
from domain.image_spec import ImageSpec
from domain.image_status import ImageStatus
from domain.instances import Fleet, Replenishment
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy


@dataclass(slots=True, eq=False)
class Image(ImageBuilds):
    """An image of a user."""

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

    # ---- its containers --------------------------------------------------------------------

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

    # ---- its end ---------------------------------------------------------------------------

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

    def note_setback(self, reason: str) -> None:
        """Tell why it is not gone yet, until it is."""
        self.status_reason = reason

    def record_deleted(self, now: datetime) -> None:
        """Tell that nothing of the image is left in Docker or on disk."""
        previous = self._move(ImageStatus.DELETED, None, now)
        self._raise(ImageEventType.DELETED, previous, Cause.API, now)
