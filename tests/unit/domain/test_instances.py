"""What counts as an instance, what is due for min_instances, and why an image is short of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause
from domain.instances import Fleet, Replenishment, is_idle, is_instance
from domain.limits import InstanceLimits
from domain.restart_policy import RestartPolicy
from tests.unit.domain.samples import (
    BACKOFF,
    CONTAINER_SPEC,
    NOON,
    PORT,
    SLOT,
    UID,
    after,
    container_in,
    new_container,
    seen_ended,
    seen_running,
    wish,
)

S = ContainerStatus
LIMITS = InstanceLimits(2, 3)
FAILED_ONCE = Replenishment(1, after(10), "exited with code 1")


def made_by_min_instances(policy: RestartPolicy = RestartPolicy.ON_FAILURE) -> Container:
    return Container.create(
        5,
        UID,
        replace(CONTAINER_SPEC, restart_policy=policy),
        "my-app",
        SLOT,
        PORT,
        wish(None, cause=Cause.MIN_INSTANCES),
    )


def running(policy: RestartPolicy = RestartPolicy.ON_FAILURE) -> Container:
    container = made_by_min_instances(policy)
    container.record_running(seen_running(), after(2))
    return container


def ended(policy: RestartPolicy, *, exit_code: int = 0, finished: float = 9.0) -> Container:
    container = running(policy)
    container.settled_generation = container.generation
    container.record_exited(seen_ended(finished, exit_code=exit_code), after(finished), BACKOFF)
    return container


# ---- what counts ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [S.CREATING, S.RUNNING, S.STARTING, S.STOPPING, S.STOPPED])
def test_a_container_that_is_wished_running_and_comes_to_it_is_an_instance(
    status: ContainerStatus,
) -> None:
    assert is_instance(container_in(status))


@pytest.mark.parametrize("status", [S.FAILED, S.DELETED])
def test_what_is_over_is_no_instance(status: ContainerStatus) -> None:
    assert not is_instance(container_in(status))


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.DELETED])
def test_what_is_not_wished_running_is_no_instance(desired: Desired) -> None:
    assert not is_instance(container_in(S.RUNNING, desired))


def test_an_exited_container_is_an_instance_if_its_policy_starts_it_again() -> None:
    answered = ended(RestartPolicy.ON_FAILURE, exit_code=1)
    left_alone = ended(RestartPolicy.ON_FAILURE, exit_code=0)

    assert (is_instance(answered), is_idle(answered)) == (True, False)
    assert (is_instance(left_alone), is_idle(left_alone)) == (False, True)


def test_an_exited_container_is_an_instance_once_its_start_is_wished() -> None:
    container = ended(RestartPolicy.NEVER)

    container.request_start(wish(None, cause=Cause.MIN_INSTANCES))

    assert (is_instance(container), is_idle(container)) == (True, False)
    assert Fleet.of([container]).attempts == 1


def test_a_fleet_counts_containers_by_what_they_are_for_min_instances() -> None:
    containers = [
        made_by_min_instances(),
        running(),
        ended(RestartPolicy.NEVER),
        container_in(S.STOPPED, Desired.STOPPED),
        container_in(S.FAILED),
        container_in(S.DELETING, Desired.DELETED),
    ]

    assert Fleet.of(containers) == Fleet(serving=2, idle=1, stopped=1, live=5, attempts=1)


# ---- what is due ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fleet", "due"),
    [
        (Fleet(), 2),
        (Fleet(serving=1, live=1), 1),
        (Fleet(serving=2, live=2), 0),
        (Fleet(serving=3, live=3), 0),
        (Fleet(idle=1, live=1), 2),
        (Fleet(idle=1, stopped=2, live=3), 1),
        (Fleet(stopped=2, live=2), 1),
        (Fleet(stopped=3, live=3), 0),
    ],
)
def test_what_is_missing_is_due_as_far_as_there_is_room(fleet: Fleet, due: int) -> None:
    assert fleet.due(LIMITS, Replenishment(), NOON) == due


def test_after_a_failure_nothing_is_due_before_its_time_and_then_one_at_a_time() -> None:
    assert Fleet().due(LIMITS, FAILED_ONCE, after(9)) == 0
    assert Fleet().due(LIMITS, FAILED_ONCE, after(10)) == 1
    assert Fleet(serving=1, live=1, attempts=1).due(LIMITS, FAILED_ONCE, after(10)) == 0
    assert Fleet(serving=1, live=1).due(LIMITS, FAILED_ONCE, after(10)) == 1


# ---- what is learned -----------------------------------------------------------------------


def test_failures_in_a_row_wait_twice_as_long_each_up_to_the_ceiling() -> None:
    container = made_by_min_instances()
    container.record_failed("exited with code 1", "", None, NOON)
    waits, replenishment = [], Replenishment()

    for _ in range(7):
        replenishment = replenishment.learned(container, S.CREATING, NOON, BACKOFF)
        assert replenishment.after is not None
        waits.append(replenishment.after - NOON)

    assert waits == [timedelta(seconds=s) for s in (10, 20, 40, 80, 160, 300, 300)]
    assert (replenishment.failures, replenishment.reason) == (7, "exited with code 1")


def test_one_that_comes_up_for_the_first_time_ends_a_row_of_failures() -> None:
    assert FAILED_ONCE.learned(running(), S.CREATING, after(2), BACKOFF) == Replenishment()


def test_what_was_put_off_for_want_of_a_port_is_not_brought_forward_by_another() -> None:
    postponed = Replenishment().postponed("no host port is free", NOON, BACKOFF)

    assert postponed.learned(running(), S.CREATING, after(2), BACKOFF) == postponed


def test_one_that_comes_up_again_ends_no_row_because_it_may_end_at_once_again() -> None:
    assert FAILED_ONCE.learned(running(), S.STARTING, after(2), BACKOFF) == FAILED_ONCE


def test_a_short_run_that_is_left_alone_counts_as_a_failure() -> None:
    learned = Replenishment().learned(
        ended(RestartPolicy.NEVER, exit_code=3), S.RUNNING, after(9), BACKOFF
    )

    assert learned == Replenishment(1, after(19), "exited with code 3")


def test_a_run_that_lasted_ends_a_row_of_failures() -> None:
    lasted = ended(RestartPolicy.NEVER, finished=1 + BACKOFF.ceiling_seconds)

    assert FAILED_ONCE.learned(lasted, S.RUNNING, after(400), BACKOFF) == Replenishment()


def test_an_end_that_the_policy_answers_is_the_policys_own_matter() -> None:
    answered = ended(RestartPolicy.ALWAYS)

    assert Replenishment().learned(answered, S.RUNNING, after(9), BACKOFF) == Replenishment()


@pytest.mark.parametrize("status", [S.FAILED, S.EXITED])
def test_what_a_user_wished_teaches_nothing(status: ContainerStatus) -> None:
    container = new_container()
    container.status = status

    assert Replenishment().learned(container, S.RUNNING, NOON, BACKOFF) == Replenishment()


# ---- why it is short -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fleet", "replenishment", "reason"),
    [
        (Fleet(serving=2, live=2), FAILED_ONCE, None),
        (Fleet(), Replenishment(), None),
        (
            Fleet(),
            FAILED_ONCE,
            "next attempt at 2026-03-01T12:00:10Z after 1 failure(s): exited with code 1",
        ),
        (
            Fleet(serving=1, live=1, attempts=1),
            replace(FAILED_ONCE, after=NOON),
            "one attempt at a time after 1 failure(s): exited with code 1",
        ),
        (
            Fleet(),
            Replenishment().postponed("no host port is free at the moment", NOON, BACKOFF),
            "next attempt at 2026-03-01T12:00:10Z: no host port is free at the moment",
        ),
        (
            Fleet(serving=1, stopped=2, live=3),
            Replenishment(),
            "max_instances=3 is reached with 2 stopped container(s)",
        ),
        (
            Fleet(serving=1, live=3),
            Replenishment(),
            "max_instances=3 is reached until containers that are being deleted are gone",
        ),
    ],
)
def test_a_shortfall_is_told_with_what_stands_in_its_way(
    fleet: Fleet, replenishment: Replenishment, reason: str | None
) -> None:
    assert fleet.why_short(LIMITS, replenishment, NOON, built=True) == reason


def test_an_image_without_a_build_is_short_for_want_of_one() -> None:
    reason = Fleet().why_short(LIMITS, Replenishment(), NOON, built=False)

    assert reason == "the image has no good build yet"
