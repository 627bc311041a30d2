"""What a complete list says: differences nominate, absences are remembered, too many alarm."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.drift import ACCIDENT_LEAST, Known, drift_between, reconsidered
from domain.container_status import ContainerStatus
from domain.observation import Observation
from tests.unit.domain.samples import seen_ended, seen_running

S = ContainerStatus
IN_DOCKER = [S.RUNNING, S.STOPPING, S.STOPPED, S.STARTING, S.EXITED]


def uid(number: int) -> UUID:
    return UUID(int=number)


def running(number: int) -> Observation:
    return replace(seen_running(), docker_id=f"{number:064x}", uid=uid(number))


def ended(number: int) -> Observation:
    return replace(seen_ended(), docker_id=f"{number:064x}", uid=uid(number))


def known(number: int, status: ContainerStatus = S.RUNNING, *, missing: bool = False) -> Known:
    """A container as it is recorded; of one that runs, the run that `running` shows."""
    created = status is S.CREATING
    return Known(
        id=number,
        uid=uid(number),
        docker_id=None if created else f"{number:064x}",
        status=status,
        open_run_id=running(number).run_id if status is S.RUNNING else None,
        container_ip="172.17.0.2" if status is S.RUNNING else None,
        missing=missing,
    )


def test_what_is_as_recorded_is_left_alone() -> None:
    drift = drift_between(
        [known(1), known(2, S.STOPPED), known(3, S.CREATING)], [running(1), ended(2)]
    )

    assert (drift.nominated, drift.missing, drift.strangers) == ([], [], [])
    assert (drift.running, drift.alarm) == ([1], None)


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (S.RUNNING, ended(1)),
        (S.RUNNING, replace(running(1), started_at=seen_running(99).started_at)),
        (S.RUNNING, replace(running(1), container_ip="172.17.0.9")),
        (S.STOPPED, running(1)),
        (S.EXITED, running(1)),
    ],
)
def test_what_differs_is_nominated(status: ContainerStatus, seen: Observation) -> None:
    drift = drift_between([known(1, status)], [seen])

    assert (drift.nominated, drift.missing, drift.running) == ([1], [], [])


def test_an_end_whose_last_words_are_not_known_is_nominated_while_docker_has_them() -> None:
    row = replace(known(1, S.EXITED), wordless_run_id=ended(1).run_id)
    later = replace(ended(1), started_at=seen_running(99).started_at)

    assert drift_between([row], [ended(1)]).nominated == [1]
    assert drift_between([row], [later]).nominated == []


@pytest.mark.parametrize("status", [S.CREATING, S.STARTING, S.STOPPING, S.DELETING])
@pytest.mark.parametrize("seen", [running(1), ended(1)])
def test_a_step_under_way_is_not_interfered_with(
    status: ContainerStatus, seen: Observation
) -> None:
    assert drift_between([known(1, status)], [seen]).nominated == []


@pytest.mark.parametrize("status", IN_DOCKER)
def test_what_the_list_lacks_is_missing_and_nominated(status: ContainerStatus) -> None:
    drift = drift_between([known(1, status)], [])

    assert (drift.nominated, drift.missing, drift.alarm) == ([1], [1], None)


@pytest.mark.parametrize("status", [S.CREATING, S.DELETING])
def test_what_need_not_be_there_is_not_missing(status: ContainerStatus) -> None:
    assert drift_between([known(1, status)], []).missing == []


def test_what_was_missing_and_is_there_again_is_told() -> None:
    assert drift_between([known(1, missing=True)], [running(1)]).back == [1]


def test_a_second_object_of_the_same_container_is_a_stranger() -> None:
    twin = replace(running(1), docker_id=f"{77:064x}")

    drift = drift_between([known(1)], [running(1), twin])

    assert (drift.strangers, drift.running) == ([twin], [1])


def test_whatever_bears_the_uid_of_a_container_that_is_created_may_be_its() -> None:
    assert drift_between([known(1, S.CREATING)], [running(1)]).strangers == []


def test_what_bears_our_label_and_no_uid_is_a_stranger() -> None:
    nameless = replace(running(1), uid=None)

    assert drift_between([], [nameless]).strangers == [nameless]


def test_few_missing_containers_are_no_alarm_however_large_their_share() -> None:
    some = [known(number) for number in range(ACCIDENT_LEAST - 1)]

    assert drift_between(some, []).alarm is None


def test_more_than_a_fifth_missing_is_an_alarm() -> None:
    rows = [known(number) for number in range(25)]

    fifth = drift_between(rows, [running(number) for number in range(5, 25)])
    more = drift_between(rows, [running(number) for number in range(6, 25)])

    assert fifth.alarm is None
    assert more.alarm == "6 of 25 recorded containers are missing on the engine"


def test_more_than_a_fifth_unknown_is_an_alarm() -> None:
    rows = [known(number) for number in range(20)]
    found = [running(number) for number in range(26)]

    assert drift_between(rows, found).alarm == "6 of 26 containers with our label are not recorded"


def alarm_after(
    before: Iterable[Known], found: Iterable[Observation], after: Iterable[Known]
) -> str | None:
    known, list_, by_now = [*before], [*found], [*after]
    drift = drift_between(known, list_)
    assert drift.alarm is not None
    return reconsidered(drift, known, list_, by_now).alarm


def test_an_alarm_stays_that_what_is_recorded_later_bears_out() -> None:
    rows = [known(number) for number in range(6)]
    found = [running(number) for number in range(6)]

    assert alarm_after(rows, [], rows) == "6 of 6 recorded containers are missing on the engine"
    assert alarm_after([], found, []) == "6 of 6 containers with our label are not recorded"


def test_what_was_made_since_the_record_was_read_is_no_alarm() -> None:
    made = range(6)

    assert (
        alarm_after([], [running(number) for number in made], [known(number) for number in made])
        is None
    )


@pytest.mark.parametrize("status", [S.DELETING, None])
def test_what_was_deleted_since_the_record_was_read_is_no_alarm(status: S | None) -> None:
    rows = [known(number) for number in range(6)]
    by_now = [] if status is None else [replace(row, status=status) for row in rows]

    assert alarm_after(rows, [], by_now) is None


def test_what_is_recorded_of_others_by_now_hides_nothing_that_is_missing() -> None:
    rows = [known(number) for number in range(6)]
    created = [known(number) for number in range(6, 30)]

    alarm = alarm_after(rows, [running(number) for number in range(6, 30)], [*rows, *created])

    assert alarm == "6 of 6 recorded containers are missing on the engine"


NUMBERS = st.sets(st.integers(0, 30))


@given(recorded=NUMBERS, there=NUMBERS, statuses=st.data())
def test_every_container_and_every_object_is_accounted_for(
    recorded: set[int], there: set[int], statuses: st.DataObject
) -> None:
    rows = [known(n, statuses.draw(st.sampled_from([*S][:-3]))) for n in sorted(recorded)]
    found = [statuses.draw(st.sampled_from([running(n), ended(n)])) for n in sorted(there)]

    drift = drift_between(rows, found)

    assert {each.docker_id for each in drift.strangers} == docker_ids(there - recorded)
    assert set(drift.missing) <= recorded - there
    assert set(drift.missing) <= set(drift.nominated) <= recorded
    assert set(drift.running) <= recorded & there
    assert set(drift.running).isdisjoint(drift.nominated)


def docker_ids(numbers: Iterable[int]) -> set[str]:
    return {f"{number:064x}" for number in numbers}
