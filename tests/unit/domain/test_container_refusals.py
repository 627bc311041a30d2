"""Every outcome in every status: it belongs to the status, or it is refused and tells nothing."""

from collections.abc import Callable
from datetime import datetime

import pytest

from domain.container import Container
from domain.container_status import ContainerStatus
from domain.errors import IllegalTransition
from tests.unit.domain.samples import (
    BACKOFF,
    after,
    container_in,
    seen_ended,
    seen_running,
)

S = ContainerStatus
Outcome = Callable[[Container, datetime], None]

OUTCOMES: dict[str, tuple[Outcome, set[ContainerStatus]]] = {
    "running": (
        lambda container, now: container.record_running(seen_running(40), now),
        {S.CREATING, S.RUNNING, S.EXITED, S.STOPPED, S.STARTING},
    ),
    "exited": (
        lambda container, now: container.record_exited(seen_ended(), now, BACKOFF),
        {S.RUNNING},
    ),
    "stopped": (
        lambda container, now: container.record_stopped(seen_ended(), now),
        {S.STOPPING, S.EXITED, S.STARTING},
    ),
    "failed": (
        lambda container, now: container.record_failed("no", "", seen_ended(), now),
        {S.CREATING},
    ),
    "failed start": (
        lambda container, now: container.record_failed_start("no", "", seen_ended(), now, BACKOFF),
        {S.STARTING},
    ),
    "run ended": (
        lambda container, now: container.record_run_ended(seen_ended(), now),
        {S.DELETING},
    ),
    "deleted": (
        lambda container, now: container.record_deleted(now),
        {S.DELETING, S.RUNNING, S.STARTING, S.STOPPING, S.STOPPED, S.EXITED},
    ),
}


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_that_does_not_belong_to_the_status_is_refused_and_tells_nothing(
    name: str, status: ContainerStatus
) -> None:
    outcome, legal = OUTCOMES[name]
    container = container_in(status)
    before = (container.status, container.slot, container.external_port, container.open_run_id)

    if status in legal:
        outcome(container, after(60))
        return

    with pytest.raises(IllegalTransition) as refusal:
        outcome(container, after(60))

    assert refusal.value.current == status.value
    assert container.events == []
    assert before == (
        container.status,
        container.slot,
        container.external_port,
        container.open_run_id,
    )
