"""What becomes of the builds of an image, and what is told of them.

One build of an image is queued or runs at a time. `status` tells of the last one; containers are
made from `active_build_id`, the last good one, so an image whose rebuild failed still serves. An
image in deletion is not brought back by a build that ends late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.build import Build
from domain.errors import ImageRefuses
from domain.events import Cause, ImageEventType
from domain.image_state import ImageState
from domain.image_status import ImageStatus
from domain.instances import Replenishment


@dataclass(slots=True, eq=False)
class ImageBuilds(ImageState):
    """The wishes for builds, and the outcomes that builds have."""

    # ---- wishes: the api's side ------------------------------------------------------------

    def request_rebuild(
        self, build_id: int, *, now: datetime, request_id: str | None, cause: Cause = Cause.API
    ) -> None:
        """Queue another build of the stored context; the last good build stays in use meanwhile.

        Args:
            request_id: None if no request asks for it.

        Raises:
            ImageRefuses: while it builds, or in deletion.
        """
        if self.status is ImageStatus.BUILDING:
            raise ImageRefuses(self.status, "rebuild", "cancel the build first, or let it end")
        if self.is_deleting:
            raise ImageRefuses(self.status, "rebuild", "upload it again")
        previous = self._move(ImageStatus.BUILDING, None, now)
        self.request_id = request_id
        self._raise(ImageEventType.BUILD_STARTED, previous, cause, now, build_id)

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

    # ---- outcomes: a worker's side ---------------------------------------------------------

    def place_on(self, engine_id: str) -> None:
        """Note the engine that holds the image's builds."""
        self.engine_id = engine_id

    def note_build_delayed(self, reason: str | None) -> bool:
        """Show why the build has not begun, None once it has; return whether that is news."""
        if self.status is not ImageStatus.BUILDING or self.status_reason == reason:
            return False
        self.status_reason = reason
        return True

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
    ) -> bool:
        """Note that an engine is gone for good, and with it what was built on it.

        A build that is queued or runs goes on elsewhere.

        Args:
            active_build: the last good build, None if there is none.
            reason: what the user should know where only a rebuild of theirs can help, in one
                sentence: the build after the good one has failed or was cancelled.

        Returns:
            Whether it is ready and has no build any more: a rebuild has to be queued with it.
        """
        if self.engine_id == engine_id:
            self.engine_id = None
        if active_build is None or active_build.engine_id != engine_id:
            return False
        self.active_build_id = None
        if self.status is ImageStatus.READY:
            return True
        if not self.is_deleting and self.status is not ImageStatus.BUILDING:
            self.status_reason, self.updated_at = reason, now
        return False
