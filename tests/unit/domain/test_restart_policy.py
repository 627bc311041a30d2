"""Which ends are answered with a start, when, and how a crash loop ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.end_of_run import unwished_cause
from domain.events import Cause
from domain.restart_policy import RestartBackoff, RestartPolicy
from tests.unit.domain.samples import (
    BACKOFF,
    after,
    container_in,
    running_container,
    seen_ended,
    seen_running,
    wish,
)

P, S = RestartPolicy, ContainerStatus


@pytest.mark.parametrize(
    ("policy", "exit_code", "oom_killed", "answered"),
    [
        (P.ALWAYS, 0, False, True),
        (P.ALWAYS, 1, False, True),
        (P.ON_FAILURE, 0, False, False),
        (P.ON_FAILURE, 1, False, True),
        (P.ON_FAILURE, 0, True, True),
        (P.ON_FAILURE, None, False, True),
        (P.NEVER, 1, False, False),
        (P.NEVER, 137, True, False),
    ],
)
def test_a_policy_answers_the_ends_it_is_named_for(
    policy: RestartPolicy, exit_code: int | None, *, oom_killed: bool, answered: bool
) -> None:
    assert policy.answers(exit_code, oom_killed=oom_killed) is answered


def test_the_pause_doubles_up_to_its_ceiling() -> None:
    pauses = [BACKOFF.after(ends).total_seconds() for ends in range(1, 8)]

    assert pauses == [10, 20, 40, 80, 160, 300, 300]
    assert BACKOFF.after(10_000) == timedelta(seconds=300)


def crash_again(container: Container, started: float, lasted: float) -> None:
    """Let a container that rests come up and crash after so many seconds."""
    container.begin()
    container.record_running(seen_running(started), after(started))
    ended = replace(seen_running(started), running=False, exit_code=1, container_ip=None)
    ended = replace(ended, finished_at=after(started + lasted))
    container.record_exited(ended, after(started + lasted), BACKOFF)


def test_a_crash_loop_shows_its_count_code_logs_and_next_start() -> None:
    container = running_container()
    container.record_exited(seen_ended(9, exit_code=3), after(10), BACKOFF)
    first = (container.crash_count, container.restart_at)

    crash_again(container, started=30, lasted=2)

    assert first == (1, after(20))
    assert (container.crash_count, container.restart_at) == (2, after(32 + 20))
    assert (container.exit_code, container.status_reason) == (1, "exited with code 1")
    assert (container.status, container.restart_count) == (S.EXITED, 1)


def test_a_run_that_lasted_as_long_as_the_ceiling_ends_a_crash_loop() -> None:
    container = running_container()
    for number in range(4):
        crash_again_or_first(container, number)

    crash_again(container, started=1_000, lasted=300)

    assert container.crash_count == 1
    assert container.restart_at == after(1_300 + 10)


def crash_again_or_first(container: Container, number: int) -> None:
    if number == 0:
        container.record_exited(seen_ended(9, exit_code=3), after(10), BACKOFF)
    else:
        crash_again(container, started=100 * number, lasted=1)


def test_a_start_by_policy_is_told_as_the_reconcilers() -> None:
    container = running_container()
    container.record_exited(seen_ended(9, exit_code=3), after(10), BACKOFF)
    container.events.clear()
    container.begin()

    container.record_running(seen_running(20), after(21))

    assert [(event.type.value, event.cause) for event in container.events] == [
        ("container.started", Cause.RECONCILER)
    ]
    assert container.restart_cause is None


def test_a_start_that_a_user_wished_is_told_as_theirs_and_forgets_the_loop() -> None:
    container = running_container()
    container.record_exited(seen_ended(9, exit_code=3), after(10), BACKOFF)
    container.settled_generation = container.generation
    container.events.clear()
    container.request_start(wish("again", at=12))
    container.begin()

    container.record_running(seen_running(20), after(21))

    assert container.events[0].cause is Cause.API
    assert (container.crash_count, container.restart_at) == (0, None)


def test_an_end_that_the_policy_leaves_alone_rests_until_a_wish() -> None:
    container = running_container()

    container.record_exited(seen_ended(9, exit_code=0), after(10), BACKOFF)

    assert (container.restart_at, container.crash_count) == (None, 0)
    assert container.next_step_in(after(10)) is None


@pytest.mark.parametrize("policy", P)
@pytest.mark.parametrize("exit_code", [0, 137])
def test_a_run_that_ended_with_the_engine_is_resumed_at_once_whatever_the_policy(
    policy: RestartPolicy, exit_code: int
) -> None:
    container = running_container()
    container.spec = replace(container.spec, restart_policy=policy)
    ended = replace(seen_ended(9, exit_code=exit_code), engine_started_at=after(12))

    container.record_exited(ended, after(15), BACKOFF)

    assert container.events[-1].cause is Cause.ENGINE_RESTART
    assert (container.restart_at, container.restart_cause) == (after(15), Cause.ENGINE_RESTART)
    assert container.status_reason == "ended when the engine restarted"
    assert container.crash_count == 0


def test_an_end_long_before_the_engine_restarted_was_a_crash() -> None:
    ended = replace(seen_ended(9, exit_code=1), engine_started_at=after(9 + 61))

    assert unwished_cause(ended) is Cause.CRASH


def test_a_run_that_began_after_the_engine_did_not_end_with_it() -> None:
    ended = replace(seen_ended(9, exit_code=1), engine_started_at=after(0.5))

    assert unwished_cause(ended) is Cause.CRASH


def test_memory_that_ran_out_is_told_as_such_whatever_the_engine_did() -> None:
    ended = replace(seen_ended(9, oom_killed=True), engine_started_at=after(12))

    assert unwished_cause(ended) is Cause.OOM


def test_nothing_is_planned_for_a_container_that_is_not_wished_running() -> None:
    container = running_container()
    container.request_stop(wish("stop"))

    container.record_exited(seen_ended(9, exit_code=3), after(10), BACKOFF)

    assert container.restart_at is None


def test_a_stop_that_came_after_a_crash_does_not_hide_it() -> None:
    container = running_container()
    container.request_stop(wish("stop", at=20))
    container.begin()

    container.record_stopped(seen_ended(9, exit_code=3), after(21), found_ended=True)

    assert container.events[-1].cause is Cause.CRASH
    assert (container.status, container.restart_at) == (S.STOPPED, None)


@pytest.mark.parametrize("finished", [9.0, 25.0])
def test_an_end_that_we_brought_about_is_told_as_wished_whatever_the_clocks_say(
    finished: float,
) -> None:
    container = running_container()
    container.request_stop(wish("stop", at=20))
    container.begin()

    container.record_stopped(seen_ended(finished, exit_code=143), after(26))

    assert container.events[-1].cause is Cause.API


def test_an_end_found_after_the_wish_was_brought_about_by_whoever_carried_it_out() -> None:
    container = running_container()
    container.request_delete(wish("delete", at=20))
    container.begin()

    container.record_run_ended(seen_ended(22, exit_code=143), after(40), found_ended=True)

    assert container.events[-1].cause is Cause.API


def test_another_address_within_a_run_is_told() -> None:
    container = running_container()

    container.record_running(seen_running(1, container_ip="172.17.0.9"), after(30))
    container.record_running(seen_running(1, container_ip="172.17.0.9"), after(31))

    assert [(event.type.value, event.container_ip) for event in container.events] == [
        ("container.endpoint_changed", "172.17.0.9")
    ]
    assert container.events[0].run_id == container.open_run_id


def test_a_failed_start_rests_like_a_crash() -> None:
    container = container_in(S.STARTING, Desired.RUNNING)

    container.record_failed_start(
        "never listened", "", seen_ended(9, exit_code=0), after(10), BACKOFF
    )

    assert (container.crash_count, container.restart_at) == (1, after(20))


def test_the_time_to_the_next_step_follows_from_the_plan() -> None:
    container = running_container()
    container.record_exited(seen_ended(9, exit_code=3), after(10), RestartBackoff(5, 60))

    assert container.next_step_in(after(11)) == 4
    assert container.next_step_in(after(99)) == 0
