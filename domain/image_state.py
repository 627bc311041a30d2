"""The state of an image, and the two ways in which it changes: a transition, and an event.

`domain.image` and `domain.image_builds` tell when each of them happens. A transition is checked
against the one table; an event is numbered here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.events import Cause, ImageEvent, ImageEventType
from domain.image_spec import ImageSpec, repository_of
from domain.image_status import TRANSITIONS, ImageStatus
from domain.instances import Replenishment
from domain.transitions import guard


@dataclass(slots=True, eq=False)
class ImageState:
    """What is known of one image; its identity is `id`.

    Attributes:
        active_build_id: the last good build, which containers are made from.
        engine_id: the engine that holds its builds; None for any.
    """

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
