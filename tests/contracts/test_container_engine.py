"""What `ContainerEngine` promises of containers, held against Docker and against the fake."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from application.engine_calls import ContainerOrder
from application.errors import (
    EngineError,
    EngineRefused,
    EngineTransient,
    NameConflict,
    PortConflict,
)
from tests.contracts.subjects import Subject, free_port

ABSENT = "f" * 64
NO_IMAGE = f"sha256:{'0' * 64}"


@pytest.fixture
def created(subject: Subject) -> str:
    return subject.engine.create(subject.order())


@pytest.fixture
def running(subject: Subject, created: str) -> str:
    subject.engine.start(created)
    return created


def test_an_engine_has_an_id_that_stays(subject: Subject) -> None:
    assert subject.engine.engine_id() == subject.engine.engine_id() != ""


def test_a_created_container_bears_our_labels_and_does_not_run(subject: Subject) -> None:
    order = subject.order()

    docker_id = subject.engine.create(order)

    seen = subject.seen(docker_id)
    assert (seen.docker_id, seen.name, seen.uid) == (docker_id, order.name, order.uid)
    assert seen.spec_hash == order.spec_hash
    assert seen.installation_id
    assert not seen.running
    assert (seen.started_at, seen.finished_at, seen.exit_code) == (None, None, None)
    assert seen.run_id is None


def test_a_container_is_found_by_its_name_as_by_its_id(subject: Subject, created: str) -> None:
    seen = subject.seen(created)

    assert subject.engine.inspect(seen.name) == seen


def test_what_is_absent_is_seen_as_none(subject: Subject) -> None:
    assert subject.engine.inspect(ABSENT) is None
    assert subject.engine.inspect("contract-nobody") is None


def test_a_name_that_is_taken_is_a_conflict(subject: Subject) -> None:
    first = subject.order()
    docker_id = subject.engine.create(first)

    with pytest.raises(NameConflict):
        subject.engine.create(subject.order(name=first.name))

    assert subject.seen(first.name).docker_id == docker_id


def test_of_several_that_want_one_name_one_gets_it(subject: Subject) -> None:
    name = f"contract-{uuid.uuid4().hex[:12]}"
    orders = [subject.order(name=name) for _ in range(6)]

    with ThreadPoolExecutor(len(orders)) as pool:
        outcomes = list(pool.map(lambda order: _create(subject, order), orders))

    made = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert made == [subject.seen(name).docker_id]
    assert {type(outcome) for outcome in outcomes} == {str, NameConflict}


def test_no_image_is_pulled_and_nothing_is_created_without_one(subject: Subject) -> None:
    order = subject.order(NO_IMAGE)

    with pytest.raises(EngineRefused):
        subject.engine.create(order)

    assert subject.engine.inspect(order.name) is None


def test_a_started_container_runs_and_to_start_it_again_changes_nothing(
    subject: Subject, running: str
) -> None:
    seen = subject.seen(running)

    subject.engine.start(running)

    assert seen.running
    assert seen.started_at is not None
    assert (seen.finished_at, seen.exit_code) == (None, None)
    assert seen.container_ip is not None
    assert subject.seen(running) == seen


def test_what_is_gone_cannot_be_started(subject: Subject) -> None:
    with pytest.raises(EngineTransient):
        subject.engine.start(ABSENT)


def test_a_stopped_container_shows_how_its_run_ended(subject: Subject, running: str) -> None:
    subject.engine.stop(running, 1.0)

    seen = subject.seen(running)
    assert not seen.running
    assert seen.exit_code in {137, 143}
    assert seen.started_at is not None
    assert seen.finished_at is not None
    assert seen.finished_at >= seen.started_at
    assert not seen.oom_killed


def test_to_stop_what_does_not_run_or_is_gone_is_no_error(subject: Subject, created: str) -> None:
    subject.engine.stop(created, 1.0)
    subject.engine.stop(ABSENT, 1.0)

    assert subject.seen(created).started_at is None


def test_each_start_is_a_run_of_its_own(subject: Subject, running: str) -> None:
    first = subject.seen(running)
    subject.engine.stop(running, 1.0)
    between = subject.seen(running)

    subject.engine.start(running)

    second = subject.seen(running)
    assert between.run_id == first.run_id != second.run_id
    assert second.running
    assert (second.finished_at, second.exit_code) == (None, None)
    assert second.started_at is not None
    assert between.finished_at is not None
    assert second.started_at >= between.finished_at


def test_a_port_that_somebody_listens_on_is_a_conflict_and_the_container_remains(
    subject: Subject,
) -> None:
    port = free_port()
    docker_id = subject.engine.create(subject.order(port=port))

    with subject.occupied(port), pytest.raises(PortConflict):
        subject.engine.start(docker_id)

    seen = subject.seen(docker_id)
    assert not seen.running
    assert seen.started_at is None


def test_a_port_of_another_container_is_a_conflict_until_that_one_stops(subject: Subject) -> None:
    port = free_port()
    first, second = (subject.engine.create(subject.order(port=port)) for _ in range(2))
    subject.engine.start(first)

    with pytest.raises(PortConflict):
        subject.engine.start(second)
    subject.engine.stop(first, 1.0)
    subject.engine.start(second)

    assert subject.seen(second).running


def test_an_app_that_ends_by_itself_shows_its_code(subject: Subject) -> None:
    docker_id = subject.engine.create(subject.order(subject.image("exit 3")))

    subject.engine.start(docker_id)

    seen = subject.ended(docker_id)
    assert seen.exit_code == 3
    assert seen.run_id is not None


def test_a_program_that_is_not_in_its_image_is_refused(subject: Subject) -> None:
    docker_id = subject.engine.create(subject.order(subject.image_of(["/bin/nothing"])))

    with pytest.raises(EngineRefused, match="/bin/nothing"):
        subject.engine.start(docker_id)

    seen = subject.seen(docker_id)
    assert not seen.running
    assert seen.run_id is None


def test_a_removed_container_is_absent_though_it_ran(subject: Subject, running: str) -> None:
    name = subject.seen(running).name

    subject.engine.remove(running)
    subject.engine.remove(running)

    assert subject.engine.inspect(running) is None
    assert subject.engine.inspect(name) is None


def test_the_last_lines_that_a_container_wrote_can_be_read(subject: Subject) -> None:
    docker_id = subject.engine.create(
        subject.order(subject.image("echo one; echo two; echo three; exit 0"))
    )
    subject.engine.start(docker_id)
    subject.ended(docker_id)

    assert subject.engine.log_lines(docker_id, 2).split() == ["two", "three"]


def test_what_never_ran_or_is_gone_wrote_nothing(subject: Subject, created: str) -> None:
    assert subject.engine.log_lines(created, 10) == ""
    assert subject.engine.log_lines(ABSENT, 10) == ""


def _create(subject: Subject, order: ContainerOrder) -> str | EngineError:
    try:
        return subject.engine.create(order)
    except EngineError as exc:
        return exc


def test_the_list_of_ours_shows_each_as_a_look_does_and_nothing_that_is_gone(
    subject: Subject,
) -> None:
    created, running, removed = (subject.engine.create(subject.order()) for _ in range(3))
    subject.engine.start(running)
    subject.engine.remove(removed)

    listed = {seen.docker_id: seen for seen in subject.engine.list_ours()}

    assert {listed[each] for each in (created, running)} == {
        subject.seen(created),
        subject.seen(running),
    }
    assert removed not in listed


def test_a_dated_look_tells_when_the_engine_started_and_else_the_same(
    subject: Subject, running: str
) -> None:
    plain = subject.seen(running)

    dated = subject.engine.inspect(running, dated=True)

    assert dated is not None
    assert dated.engine_started_at is not None
    assert plain.started_at is not None
    assert dated.engine_started_at < plain.started_at
    assert replace(dated, engine_started_at=None) == plain
    assert subject.engine.inspect(running, dated=True) == dated
    assert subject.engine.inspect(ABSENT, dated=True) is None
