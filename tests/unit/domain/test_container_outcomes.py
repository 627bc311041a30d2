"""What a worker verified in Docker: the status that follows, what is told, what is given back."""

from dataclasses import asdict
from decimal import Decimal

import pytest

from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause, ContainerEventType, TimeSource
from tests.unit.domain.samples import (
    BACKOFF,
    DOCKER_ID,
    PORT,
    SLOT,
    after,
    container_in,
    new_container,
    running_container,
    seen_ended,
    seen_running,
    wish,
)

S, T = ContainerStatus, ContainerEventType


def told(container: Container) -> list[tuple[int, str, str | None, str, str]]:
    return [
        (event.sequence, event.type, event.previous_status, event.status, event.cause)
        for event in container.events
    ]


def stopping_container() -> Container:
    container = running_container()
    container.request_stop(wish("stop"))
    container.begin()
    return container


def starting_container() -> Container:
    container = stopping_container()
    container.record_stopped(seen_ended(9), after(10))
    container.request_start(wish("again"))
    container.begin()
    container.events.clear()
    return container


def test_the_first_run_is_told_as_created_and_started_with_all_that_consumers_route_by() -> None:
    container = new_container()

    container.record_running(seen_running(1), after(2))

    assert told(container) == [
        (1, T.CREATED, "creating", "running", Cause.API),
        (2, T.STARTED, "creating", "running", Cause.API),
    ]
    assert asdict(container.events[1]) == {
        "type": T.STARTED,
        "sequence": 2,
        "container_id": 5,
        "user_id": "user-1",
        "image_id": 7,
        "docker_id": DOCKER_ID,
        "name": "my-app-01234567",
        "container_ip": "172.17.0.2",
        "internal_port": 8080,
        "external_port": PORT,
        "app_hostname": "app.example.com",
        "previous_status": "creating",
        "status": "running",
        "cause": Cause.API,
        "run_id": seen_running(1).run_id,
        "exit_code": None,
        "oom_killed": None,
        "host": "10.0.0.1",
        "cpu_limit": Decimal("0.5"),
        "memory_limit": "512m",
        "image_digest": "sha256:abc",
        "occurred_at": after(1),
        "occurred_at_source": TimeSource.ENGINE,
        "observed_at": after(2),
        "last_seen_running_at": after(2),
        "request_id": "create",
    }
    assert (container.open_run_id, container.restart_count) == (seen_running(1).run_id, 0)


def test_a_container_that_was_wished_deleted_while_it_came_up_is_told_all_the_same() -> None:
    container = new_container()
    container.request_delete(wish("delete"))

    container.record_running(seen_running(1), after(2))

    assert [event.type for event in container.events] == [T.CREATED, T.STARTED]
    assert not container.is_settled


def test_seeing_the_open_run_again_tells_nothing_but_when_it_was_seen() -> None:
    container = running_container()

    container.record_running(seen_running(1), after(30))

    assert (container.events, container.last_seen_running_at) == ([], after(30))


def test_another_run_is_told_after_the_end_of_the_one_that_ended_unseen() -> None:
    container = running_container()

    container.record_running(seen_running(20, container_ip="172.17.0.9"), after(21))

    assert told(container) == [
        (3, T.STOPPED, "running", "running", Cause.RECONCILER),
        (4, T.STARTED, "running", "running", Cause.RECONCILER),
    ]
    stopped, started = container.events
    assert (stopped.run_id, stopped.container_ip) == (seen_running(1).run_id, "172.17.0.2")
    assert (started.run_id, started.container_ip) == (seen_running(20).run_id, "172.17.0.9")
    assert stopped.occurred_at_source is TimeSource.ORCHESTRATOR
    assert container.restart_count == 1


@pytest.mark.parametrize("status", [S.STOPPED, S.EXITED])
def test_a_foreign_start_is_told_as_observed(status: ContainerStatus) -> None:
    container = container_in(status, Desired.STOPPED)

    container.record_running(seen_running(20), after(21))

    assert told(container) == [(3, T.STARTED, status.value, "running", Cause.RECONCILER)]
    assert not container.is_settled


@pytest.mark.parametrize(
    ("oom_killed", "exit_code", "cause", "reason"),
    [
        (False, 3, Cause.CRASH, "exited with code 3"),
        (False, 0, Cause.CRASH, "exited with code 0"),
        (True, 137, Cause.OOM, "killed by the kernel: out of memory"),
    ],
)
def test_an_end_that_nobody_wished_is_told_as_stopped_with_its_cause(
    exit_code: int, cause: Cause, reason: str, *, oom_killed: bool
) -> None:
    container = running_container()

    container.record_exited(
        seen_ended(9, exit_code=exit_code, oom_killed=oom_killed), after(10), BACKOFF
    )

    stopped = container.events[-1]
    assert told(container) == [(3, T.STOPPED, "running", "exited", cause)]
    assert (stopped.exit_code, stopped.oom_killed) == (exit_code, oom_killed)
    assert (stopped.occurred_at, stopped.run_id) == (after(9), seen_running(1).run_id)
    assert (container.status_reason, container.open_run_id) == (reason, None)
    assert (container.slot, container.external_port) == (SLOT, PORT)


def test_a_stop_is_told_with_the_endpoint_that_is_to_be_forgotten() -> None:
    container = stopping_container()

    container.record_stopped(seen_ended(9, exit_code=143), after(10))

    assert told(container) == [(3, T.STOPPED, "stopping", "stopped", Cause.API)]
    assert container.events[-1].container_ip == "172.17.0.2"
    assert (container.container_ip, container.exit_code) == (None, 143)
    assert (container.slot, container.external_port) == (SLOT, PORT)


@pytest.mark.parametrize("status", [S.EXITED, S.STARTING])
def test_a_stop_of_what_does_not_run_tells_nothing_again(status: ContainerStatus) -> None:
    container = container_in(status, Desired.STOPPED)

    container.record_stopped(seen_ended(9), after(10))

    assert (container.status, container.events) == (S.STOPPED, [])


def test_a_later_start_is_told_as_a_new_run_of_the_same_container() -> None:
    container = starting_container()

    container.record_running(seen_running(20), after(21))

    assert told(container) == [(4, T.STARTED, "starting", "running", Cause.API)]
    assert container.events[0].run_id == seen_running(20).run_id
    assert (container.restart_count, container.exit_code, container.finished_at) == (1, None, None)


def test_a_start_that_does_not_succeed_is_told_as_failed_and_keeps_port_and_slot() -> None:
    container = starting_container()

    container.record_failed_start("exited with code 1", "boom", seen_ended(22), after(23), BACKOFF)

    assert told(container) == [(4, T.FAILED, "starting", "exited", Cause.CRASH)]
    assert (container.status_reason, container.last_log_lines) == ("exited with code 1", "boom")
    assert (container.slot, container.external_port) == (SLOT, PORT)


@pytest.mark.parametrize("oom_killed", [False, True])
def test_a_new_container_that_never_came_up_is_told_as_failed_and_gives_port_and_slot_back(
    *, oom_killed: bool
) -> None:
    container = new_container()

    container.record_failed(
        "never listened", "boom", seen_ended(9, oom_killed=oom_killed), after(10)
    )

    cause = Cause.OOM if oom_killed else Cause.CRASH
    assert told(container) == [(1, T.FAILED, "creating", "failed", cause)]
    assert container.events[0].external_port == PORT
    assert (container.slot, container.external_port) == (None, None)
    assert (container.status_reason, container.last_log_lines) == ("never listened", "boom")
    assert container.is_settled


def test_a_container_that_docker_never_had_fails_without_an_id() -> None:
    container = new_container()

    container.record_failed("no such image", "", None, after(10))

    assert (container.events[0].docker_id, container.events[0].exit_code) == (None, None)
    assert container.events[0].occurred_at_source is TimeSource.ORCHESTRATOR


def test_a_deletion_tells_the_end_of_the_run_and_then_itself() -> None:
    container = running_container()
    container.request_delete(wish("delete"))
    container.begin()

    container.record_run_ended(seen_ended(9, exit_code=143), after(10))
    container.record_deleted(after(11))

    assert told(container) == [
        (3, T.STOPPED, "deleting", "deleting", Cause.API),
        (4, T.DELETED, "deleting", "deleted", Cause.API),
    ]
    assert {event.request_id for event in container.events} == {"delete"}
    assert (container.slot, container.external_port) == (None, None)


def test_a_container_deleted_before_it_ran_is_told_of_not_at_all() -> None:
    container = new_container()
    container.request_delete(wish("delete"))
    container.begin()

    container.record_deleted(after(1))

    assert (container.status, container.events, container.sequence) == (S.DELETED, [], 0)
    assert (container.slot, container.external_port) == (None, None)


@pytest.mark.parametrize("status", [S.RUNNING, S.STOPPING, S.STOPPED, S.EXITED, S.STARTING])
def test_a_container_that_vanished_is_told_as_stopped_if_a_run_was_open_and_as_deleted(
    status: ContainerStatus,
) -> None:
    container = container_in(status)
    was_open = container.open_run_id is not None

    container.record_deleted(after(50), cause=Cause.RECONCILER)

    types = [T.STOPPED, T.DELETED] if was_open else [T.DELETED]
    assert [event.type for event in container.events] == types
    assert {event.cause for event in container.events} == {Cause.RECONCILER}
    assert (container.open_run_id, container.slot, container.external_port) == (None, None, None)


def test_what_occurred_is_never_told_to_be_before_what_was_told_last() -> None:
    container = running_container()

    container.record_exited(seen_ended(-30), after(10), BACKOFF)

    assert container.events[-1].occurred_at == after(1)
    assert container.events[-1].occurred_at_source is TimeSource.ORCHESTRATOR
    assert container.last_occurred_at == after(1)


def test_what_docker_does_not_date_occurred_when_it_was_observed() -> None:
    container = running_container()

    container.record_exited(seen_ended(None), after(10), BACKOFF)

    assert container.events[-1].occurred_at == after(10)
    assert container.events[-1].occurred_at_source is TimeSource.ORCHESTRATOR


def test_what_was_in_the_way_is_forgotten_once_all_is_as_wished_but_not_why_a_run_ended() -> None:
    running, stopping, exited = running_container(), stopping_container(), running_container()
    exited.record_exited(seen_ended(), after(5), BACKOFF)
    reason = exited.status_reason
    for container in (running, stopping):
        container.note_setback("nobody answers")

    forgot = [container.forget_setback() for container in (running, stopping, exited)]

    assert forgot == [True, False, False]
    assert running.status_reason is None
    assert (stopping.status_reason, exited.status_reason) == ("nobody answers", reason)
    assert running.forget_setback() is False
