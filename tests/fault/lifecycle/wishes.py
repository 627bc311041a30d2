"""What users wish, and what is known of the images and containers that came of it.

Plain data, for the model to keep and for everybody else to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.fault.lifecycle.apps import GOOD_END, Kind

Row = Mapping[str, Any]


class What(Enum):
    """What is asked of the api."""

    UPLOAD = "upload"
    PATCH = "patch"
    REBUILD = "rebuild"
    CANCEL = "cancel"
    DELETE_IMAGE = "delete image"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    DELETE = "delete"


@dataclass(eq=False, slots=True)
class Image:
    """An image.

    Attributes:
        limits: what a PATCH can change.
        unsure_builds: rebuilds whose answer was lost.
        cancelled: whether a cancel may have been wished since the last build was.
        kills: how often a worker or the engine was killed since the last build was wished.
        built: whether a good build of it was seen: it stays in use.
        kept: whether min_instances was ever above 0.
    """

    name: str
    kind: Kind
    limits: dict[str, Any]
    id: int = 0
    wished_gone: bool = False
    gone: bool = False
    builds: int = 1
    unsure_builds: int = 0
    cancelled: bool = False
    kills: int = 0
    built: bool = False
    kept: bool = False


@dataclass(eq=False, slots=True)
class Container:
    """A container.

    Attributes:
        by_user: whether a user made it, not min_instances.
        policy: its restart policy.
        memory: its limit; None if nobody knows which one held when it was made.
        desired: running, stopped or deleted.
        came_up: whether it was seen to have run.
        disturbed: whether somebody reached behind the service's back for it before it was seen to
            have run: nobody knows what that met.
        removed: whether it was removed behind the service's back after that.
        ends: exit codes of ends behind the service's back, since it was last seen to be settled.
    """

    id: int
    name: str
    image: Image
    by_user: bool
    policy: str
    memory: str | None
    desired: str = "running"
    gone: bool = False
    came_up: bool = False
    disturbed: bool = False
    removed: bool = False
    ends: set[int] = field(default_factory=set)

    @property
    def may_fail(self) -> bool:
        """Whether it may not come up."""
        return not self.came_up and (self.disturbed or not self.image.kind.comes_up)

    @property
    def may_be_left_alone(self) -> bool:
        """Whether its policy leaves an end of it unanswered."""
        if self.policy == "never":
            return bool(self.ends)
        return self.policy == "on-failure" and GOOD_END in self.ends

    @property
    def may_go(self) -> bool:
        """Whether it may vanish without anybody's wish: removed, or an instance that failed."""
        return self.removed or self.disturbed or (self.may_fail and not self.by_user)


@dataclass(frozen=True, slots=True)
class Request:
    """A change that is asked for.

    Attributes:
        fields: the limits of a PATCH; `count` and `name` of a create; `force`.
    """

    what: What
    image: Image
    container: Container | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    wait: float = 0.0

    def __str__(self) -> str:
        about = self.image.name if self.container is None else self.container.name
        fields = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.what.value} {about} {fields} wait={self.wait:g}"
