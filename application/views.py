"""What users see of images and containers: the contract of the REST representations.

Unknown is None and no key is ever absent. Durations, sizes and limits are shown as they were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image.

    Attributes:
        cpu_limit: cores a container of it may use.
        memory_limit: memory a container of it may use, as given.
        restart_policy: of containers that are created from now on.
        instances_short: how many containers min_instances lacks at the moment.
        instances_short_reason: in one sentence; None if they come right away.
        build_logs: the end of the last build's log; only where one image is shown.
        source_path: the context's folder, relative to BUILD_CONTEXT_BASE_DIR.
        image_digest: the Docker image id of the last good build.
    """

    id: int
    user_id: str
    name: str
    tag: str
    app_hostname: str
    container_port: int
    min_instances: int
    max_instances: int
    cpu_limit: float
    memory_limit: str
    restart_policy: str
    instances_short: int
    instances_short_reason: str | None
    status: str
    status_reason: str | None
    build_logs: str | None
    build_logs_truncated: bool | None
    source_path: str
    image_tag: str
    image_digest: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWithContainersView(ImageView):
    """An image with the number of its containers, and of those that run."""

    container_count: int
    running_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLogView:
    """The end of the last build's log, live while it runs."""

    image_id: int
    status: str
    build_logs: str
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """A container.

    Attributes:
        status: shows `stopping`, `deleting` or `starting` as soon as that is desired.
        container_id: its id in Docker.
        host: where `external_port` is reached.
        crash_count: ends in a row that its policy answers, each with a longer pause.
        next_restart_at: when its policy starts it again, while it is `exited`.
    """

    id: int
    image_id: int
    user_id: str
    name: str
    status: str
    status_reason: str | None
    desired: str
    container_id: str | None
    container_ip: str | None
    host: str
    internal_port: int
    external_port: int | None
    app_hostname: str
    exit_code: int | None
    oom_killed: bool | None
    restart_policy: str
    restart_count: int
    crash_count: int
    next_restart_at: datetime | None
    last_log_lines: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a wish has come.

    Attributes:
        generation: the latest wish; 0 for images and builds, whose only wish is to end.
        applied_generation: the last wish that was carried out.
        gone: whether the resource is deleted; of a build, whether it has ended.
        told: whether any event was told of it; of a container, once it has come up or failed.
    """

    id: int
    generation: int
    applied_generation: int
    gone: bool
    told: bool = False
