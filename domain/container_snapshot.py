"""A container as an event tells it: everything a consumer may need, at the moment it happened."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from domain.events import Cause, ContainerEvent, ContainerEventType, TimeSource

if TYPE_CHECKING:
    from domain.container_state import ContainerState

_ENDED = frozenset(
    {ContainerEventType.STOPPED, ContainerEventType.FAILED, ContainerEventType.DELETED}
)


def snapshot(
    container: ContainerState,
    type_: ContainerEventType,
    *,
    previous_status: str | None,
    cause: Cause,
    occurred_at: datetime,
    occurred_at_source: TimeSource,
    observed_at: datetime,
) -> ContainerEvent:
    """Return the event that the container, as it is now, raises.

    A failed start was never told as a run, so it bears no run's id. How a run ended is told of its
    end and of what follows that, not of the next run's begin.
    """
    spec = container.spec
    untold = type_ is ContainerEventType.FAILED
    ended = type_ in _ENDED
    return ContainerEvent(
        type=type_,
        sequence=container.sequence,
        container_id=container.id,
        user_id=spec.user_id,
        image_id=spec.image_id,
        docker_id=container.docker_id,
        name=container.name,
        container_ip=container.container_ip,
        internal_port=spec.internal_port,
        external_port=container.external_port,
        app_hostname=spec.app_hostname,
        previous_status=previous_status,
        status=container.status,
        cause=cause,
        run_id=None if untold else container.last_run_id,
        exit_code=container.exit_code if ended else None,
        oom_killed=container.oom_killed if ended else None,
        host=spec.host,
        cpu_limit=spec.cpu_limit,
        memory_limit=spec.memory_limit,
        image_digest=spec.image_digest,
        occurred_at=occurred_at,
        occurred_at_source=occurred_at_source,
        observed_at=observed_at,
        last_seen_running_at=container.last_seen_running_at,
        request_id=container.request_id,
    )
