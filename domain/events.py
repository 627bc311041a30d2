"""What happened to an image or a container, in the past tense.

An event is raised by its aggregate while its state changes and is recorded with that state in one
transaction. `sequence` is gapless from 1 per aggregate: consumers apply the next one, drop a lower
one, and take a snapshot when they see a higher one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class ContainerEventType(StrEnum):
    """Events of the topic container-lifecycle.

    Every end of a run is a STOPPED, a crash too: nobody routes to or bills a dead container.
    """

    CREATED = "container.created"
    STARTED = "container.started"
    STOPPED = "container.stopped"
    DELETED = "container.deleted"
    FAILED = "container.failed"
    ENDPOINT_CHANGED = "container.endpoint_changed"


class ImageEventType(StrEnum):
    """Events of the topic image-lifecycle."""

    BUILD_STARTED = "image.build_started"
    READY = "image.ready"
    BUILD_FAILED = "image.build_failed"
    BUILD_CANCELLED = "image.build_cancelled"
    DELETED = "image.deleted"


class Cause(StrEnum):
    """Who or what made the change."""

    API = "api"
    BUILD = "build"
    CRASH = "crash"
    OOM = "oom"
    RECONCILER = "reconciler"
    ENGINE_RESTART = "engine_restart"
    MIN_INSTANCES = "min_instances"


class TimeSource(StrEnum):
    """Whose clock told when it occurred."""

    ENGINE = "engine"
    ORCHESTRATOR = "orchestrator"


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """One entry of a container's stream; unknown values are None.

    Attributes:
        container_id: the container's integer id here.
        docker_id: its id in Docker, which consumers know as `container_id`.
        run_id: the run it belongs to; one run is one started..stopped interval.
        occurred_at: when it happened, never before the event that precedes it in the stream.
        observed_at: when we saw it.
        last_seen_running_at: when its run was last seen alive.
    """

    type: ContainerEventType
    sequence: int
    container_id: int
    user_id: str
    image_id: int
    docker_id: str | None
    name: str
    container_ip: str | None
    internal_port: int
    external_port: int | None
    app_hostname: str
    previous_status: str | None
    status: str
    cause: Cause
    run_id: UUID | None
    exit_code: int | None
    oom_killed: bool | None
    host: str
    cpu_limit: Decimal
    memory_limit: str
    image_digest: str
    occurred_at: datetime
    occurred_at_source: TimeSource
    observed_at: datetime
    last_seen_running_at: datetime | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """One entry of an image's stream; unknown values are None."""

    type: ImageEventType
    sequence: int
    image_id: int
    user_id: str
    name: str
    tag: str
    app_hostname: str
    build_id: int | None
    image_digest: str | None
    previous_status: str | None
    status: str
    status_reason: str | None
    cause: Cause
    occurred_at: datetime
    request_id: str | None


Event = ContainerEvent | ImageEvent
