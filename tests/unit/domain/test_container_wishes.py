"""What may be wished of a container when: the latest wish wins, and delete is never taken back."""

from collections.abc import Callable

import pytest

from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.errors import ContainerRefuses
from tests.unit.domain.samples import (
    PORT,
    SLOT,
    UID,
    container_in,
    new_container,
    wish,
)

S, D = ContainerStatus, Desired
Wish = Callable[[Container], bool]


def start(container: Container) -> bool:
    return container.request_start(wish("start"))


def stop(container: Container) -> bool:
    return container.request_stop(wish("stop"))


def delete(container: Container) -> bool:
    return container.request_delete(wish("delete"))


def test_a_new_container_is_wished_running_once_and_nothing_is_told_of_it() -> None:
    container = new_container()

    assert (container.status, container.desired) == (S.CREATING, D.RUNNING)
    assert (container.generation, container.slot, container.external_port) == (1, SLOT, PORT)
    assert (container.events, container.sequence) == ([], 0)


def test_its_name_ends_in_digits_of_its_uid() -> None:
    assert new_container().name == f"my-app-{UID.hex[:8]}"


DESIRED: dict[Wish, Desired] = {start: D.RUNNING, stop: D.STOPPED, delete: D.DELETED}

# status, what was desired, wish, whether it is a new one
TAKEN = [
    *[(status, D.STOPPED, start, True) for status in (S.RUNNING, S.STOPPING, S.STOPPED, S.EXITED)],
    *[(status, D.RUNNING, start, False) for status in (S.CREATING, S.RUNNING, S.STARTING)],
    *[(status, D.RUNNING, start, False) for status in (S.STOPPING, S.STOPPED)],
    (S.EXITED, D.RUNNING, start, True),
    *[(status, D.RUNNING, stop, True) for status in (S.RUNNING, S.STARTING, S.EXITED, S.STOPPED)],
    *[(status, D.STOPPED, stop, False) for status in (S.RUNNING, S.STOPPING, S.STOPPED)],
    *[(status, D.RUNNING, delete, True) for status in S if status is not S.DELETED],
    (S.STOPPED, D.STOPPED, delete, True),
    *[(status, D.DELETED, delete, False) for status in S],
]


@pytest.mark.parametrize(("status", "desired", "wish", "new"), TAKEN)
def test_a_new_wish_raises_the_generation_and_a_repeated_one_changes_nothing(
    status: ContainerStatus, desired: Desired, wish: Wish, *, new: bool
) -> None:
    container = container_in(status, desired)
    wished = DESIRED[wish]

    taken = wish(container)

    assert taken is new
    assert container.desired is wished
    assert container.generation == (2 if new else 1)
    assert container.request_id == (wish.__name__ if new else "create")
    assert (container.status, container.events) == (status, [])


# status, what was desired, wish, what the caller sees, what they can do instead
REFUSED = [
    (S.CREATING, D.RUNNING, stop, "creating", "delete it instead"),
    (S.FAILED, D.RUNNING, start, "failed", "delete it and create another"),
    (S.FAILED, D.RUNNING, stop, "failed", "delete it and create another"),
    (S.DELETED, D.STOPPED, start, "deleting", "it is being deleted"),
    (S.DELETED, D.RUNNING, stop, "deleting", "it is being deleted"),
    *[
        (status, D.DELETED, wish, "deleting", "it is being deleted")
        for status in S
        for wish in (start, stop)
    ],
]


@pytest.mark.parametrize(("status", "desired", "wish", "current", "advice"), REFUSED)
def test_a_wish_that_its_state_cannot_take_is_refused_with_advice_and_changes_nothing(
    status: ContainerStatus, desired: Desired, wish: Wish, current: str, advice: str
) -> None:
    container = container_in(status, desired)

    with pytest.raises(ContainerRefuses) as refusal:
        wish(container)

    assert (refusal.value.current, refusal.value.requested) == (current, DESIRED[wish].value)
    assert refusal.value.advice == advice
    assert (container.desired, container.generation) == (desired, 1)


# what is desired, status, the step that is shown
STEPS = {
    (D.DELETED, S.CREATING): S.DELETING,
    (D.DELETED, S.RUNNING): S.DELETING,
    (D.DELETED, S.EXITED): S.DELETING,
    (D.DELETED, S.STOPPING): S.DELETING,
    (D.DELETED, S.STOPPED): S.DELETING,
    (D.DELETED, S.STARTING): S.DELETING,
    (D.DELETED, S.FAILED): S.DELETING,
    (D.STOPPED, S.RUNNING): S.STOPPING,
    (D.RUNNING, S.STOPPED): S.STARTING,
    (D.RUNNING, S.EXITED): S.STARTING,
}


@pytest.mark.parametrize("desired", D)
@pytest.mark.parametrize("status", S)
def test_a_claim_shows_the_step_from_the_status_to_what_is_desired(
    status: ContainerStatus, desired: Desired
) -> None:
    container = container_in(status, desired)
    shown = STEPS.get((desired, status), status)

    moved = container.begin()

    assert (container.status, moved) == (shown, shown is not status)
    assert container.events == []


# what is desired, the statuses in which nothing is left to be done
SETTLED = {
    D.RUNNING: {S.RUNNING, S.EXITED, S.FAILED, S.DELETED},
    D.STOPPED: {S.STOPPED, S.FAILED, S.DELETED},
    D.DELETED: {S.DELETED},
}


@pytest.mark.parametrize("desired", D)
@pytest.mark.parametrize("status", S)
def test_a_container_is_settled_when_nothing_is_left_to_be_done(
    status: ContainerStatus, desired: Desired
) -> None:
    assert container_in(status, desired).is_settled == (status in SETTLED[desired])


def test_nothing_is_wished_of_a_container_that_vanished() -> None:
    container = container_in(S.DELETED, D.RUNNING)

    assert not delete(container)

    assert (container.desired, container.generation) == (D.RUNNING, 1)


def test_a_container_is_renamed_while_it_is_created_to_ever_more_digits_of_its_uid() -> None:
    container = new_container()

    container.rename()
    container.rename()

    assert container.name == f"my-app-{UID.hex[:24]}"


def test_a_container_takes_another_port_while_it_is_created() -> None:
    container = new_container()

    container.move_port(20077)

    assert container.external_port == 20077


@pytest.mark.parametrize("status", [status for status in S if status is not S.CREATING])
def test_name_and_port_stay_once_consumers_know_them(status: ContainerStatus) -> None:
    container = container_in(status)
    before = (container.name, container.external_port)

    with pytest.raises(ContainerRefuses):
        container.rename()
    with pytest.raises(ContainerRefuses):
        container.move_port(20077)

    assert (container.name, container.external_port) == before


def test_a_start_that_nobody_has_taken_up_yet_is_not_wished_again() -> None:
    container = container_in(S.EXITED)

    first = container.request_start(wish("r1"))
    second = container.request_start(wish("r2"))

    assert (first, second, container.generation) == (True, False, 2)


def test_a_name_that_holds_the_whole_uid_cannot_be_made_longer() -> None:
    container = container_in(S.CREATING)
    for _ in range(3):
        container.rename()

    with pytest.raises(ContainerRefuses):
        container.rename()
