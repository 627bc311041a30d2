"""A pass holds the engine's list against the record: what differs is looked at, and only that."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from adapters.postgres.census import PostgresCensus
from application.drift import Drift, Known
from application.errors import EngineTransient, EngineUnreachable
from application.leases import Work
from application.pass_over_engine import PassOverEngine
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import utc_now
from tests.integration.worker.worker import GRACE_SECONDS, RAN, Worker

UUID_OF_NOBODY = UUID(int=0)


def running_containers(worker: Worker, number: int) -> list[int]:
    image_id = worker.ready_image(maximum=10)
    made = worker.installation.create(image_id, number)
    worker.work()
    return made


def test_a_pass_over_what_is_as_recorded_looks_at_nothing(worker: Worker) -> None:
    running_containers(worker, 3)
    worker.engine.calls.clear()

    report = worker.pass_over()

    assert (report.found, report.drift.nominated) == (3, [])
    assert [kind for kind, _ in worker.engine.calls] == ["list_ours"]


def test_a_pass_notes_that_what_runs_was_seen(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.execute("UPDATE containers SET last_seen_running_at = '2001-01-01'")

    worker.pass_over()

    assert (
        worker.installation.row("containers", container_id)["last_seen_running_at"].year > 2026 - 1
    )
    assert worker.told(container_id) == RAN


def test_what_runs_was_seen_when_it_was_listed_whatever_was_noted_late(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.execute("UPDATE containers SET last_seen_running_at = '2001-01-01'")
    (known,) = worker.census.known(worker.engine_id)
    noted = Drift([], [], [], [known.id], [], None)

    worker.census.note(worker.engine_id, noted, 3600.0)
    late = worker.installation.row("containers", container_id)["last_seen_running_at"]
    worker.census.note(worker.engine_id, noted, 7200.0)

    assert 3590 < (utc_now() - late).total_seconds() < 3610
    assert worker.installation.row("containers", container_id)["last_seen_running_at"] == late


def test_a_pass_tells_how_long_ago_it_asked_for_its_list(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.execute("UPDATE containers SET last_seen_running_at = '2001-01-01'")
    times = iter([0.0, 3600.0, 3600.0])
    passes = PassOverEngine(worker.engine, worker.census, lambda: next(times), grace_seconds=60)

    passes.run(worker.engine_id)

    seen_at = worker.installation.row("containers", container_id)["last_seen_running_at"]
    assert 3590 < (utc_now() - seen_at).total_seconds() < 3610


def test_a_lease_that_has_run_out_hides_nothing_that_runs(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.observe(container_id)
    worker.installation.execute("UPDATE containers SET last_seen_running_at = '2001-01-01'")

    worker.passes.run(worker.engine_id)
    held = worker.installation.row("containers", container_id)["last_seen_running_at"]
    worker.installation.expire_leases()
    worker.passes.run(worker.engine_id)

    assert held.year == 2001
    assert worker.installation.row("containers", container_id)["last_seen_running_at"].year > 2001


def test_a_crash_is_told_by_the_next_pass_with_its_last_words(worker: Worker) -> None:
    container_id = worker.run_container(App(output="boom"))
    worker.docker.end(worker.docker_id(container_id), 139)

    worker.pass_over()

    row = worker.installation.row("containers", container_id)
    assert worker.told(container_id) == [*RAN, "stopped"]
    assert (row["status"], row["exit_code"], row["last_log_lines"]) == ("exited", 139, "boom")


def test_what_vanished_is_told_once_the_list_and_a_look_agree(worker: Worker) -> None:
    first, second = running_containers(worker, 2)
    worker.docker.remove(worker.docker_id(first))

    report = worker.pass_over()

    assert report.drift.missing == [first]
    assert worker.told(first) == [*RAN, "stopped", "deleted"]
    assert worker.told(second) == RAN
    assert len(worker.held_ports()) == 1


def test_a_container_that_the_list_lacked_and_a_look_finds_goes_on(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.note_missing(container_id)

    worker.carry_out(worker.observe(container_id))
    report = worker.pass_over()

    assert worker.told(container_id) == RAN
    assert report.drift.back == [container_id]
    assert worker.installation.row("containers", container_id)["missing_since"] is None


def test_a_list_that_fails_says_nothing(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.remove(worker.docker_id(container_id))
    worker.engine.fail_next("list_ours", EngineUnreachable("nobody answers"))

    with pytest.raises(EngineUnreachable):
        worker.pass_over()

    row = worker.installation.row("containers", container_id)
    assert (row["missing_since"], row["nominated_at"]) == (None, None)


def test_a_list_of_another_engine_says_nothing(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.engine.another_engine()

    with pytest.raises(EngineTransient):
        worker.pass_over()

    assert worker.told(container_id) == RAN
    assert worker.installation.row("containers", container_id)["missing_since"] is None


def test_too_many_missing_put_the_engine_in_quarantine_and_nothing_is_told(
    worker: Worker,
) -> None:
    made = running_containers(worker, 6)
    for container_id in made:
        worker.docker.remove(worker.docker_id(container_id))

    report = worker.pass_over()
    worker.installation.wish(made[0], Desired.DELETED)
    worker.installation.upload()

    (engine,) = worker.installation.rows(
        f"SELECT quarantine_reason FROM engines WHERE engine_id = '{worker.engine_id}'"
    )
    assert report.drift.alarm == "6 of 6 recorded containers are missing on the engine"
    assert engine["quarantine_reason"] == report.drift.alarm
    assert worker.work() == 0
    assert [worker.told(container_id) for container_id in made] == [RAN] * 6


def test_a_stranger_is_removed_when_its_grace_is_over(worker: Worker) -> None:
    container_id = worker.run_container()
    kept = worker.docker_id(container_id)
    # As a worker does that was paused in the middle of a start.
    (order,) = worker.docker.orders()
    stranger = worker.engine.create(
        replace(order, uid=UUID_OF_NOBODY, name="late", external_port=1)
    )

    first = worker.pass_over()
    worker.seconds += GRACE_SECONDS - 1
    second = worker.pass_over()
    worker.seconds += 1
    third = worker.pass_over()

    assert (first.removed, second.removed, third.removed) == ([], [], [stranger])
    assert [seen.docker_id for seen in worker.engine.list_ours()] == [kept]


def test_what_a_deleted_container_left_behind_is_removed(worker: Worker) -> None:
    container_id = worker.run_container()
    (order,) = worker.docker.orders()
    worker.wish(container_id, Desired.DELETED)
    left = worker.engine.create(order)
    worker.engine.start(left)

    worker.pass_over()
    worker.seconds += GRACE_SECONDS
    report = worker.pass_over()

    assert report.removed == [left]
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]


class BlindCensus(PostgresCensus):
    """Reads what is recorded, and finds nothing: as long before, or after a backup was restored."""

    def known(self, engine_id: str) -> Sequence[Known]:
        assert engine_id
        return []


def test_an_object_that_is_recorded_by_the_time_of_its_removal_is_left_alone(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    installation = worker.installation
    census = BlindCensus(installation.pool, installation.signals.append)
    passes = PassOverEngine(worker.engine, census, lambda: worker.seconds, grace_seconds=60)

    passes.run(worker.engine_id)
    worker.seconds += 60
    report = passes.run(worker.engine_id)

    assert len(report.drift.strangers) == 1
    assert report.removed == []
    assert worker.engine.inspect(worker.docker_id(container_id)) is not None


def test_objects_of_another_installation_are_nobodys_here(worker: Worker) -> None:
    worker.run_container()
    (order,) = worker.docker.orders()
    other = FakeContainerEngine(worker.docker, installation_id="other")
    theirs = other.create(replace(order, uid=UUID_OF_NOBODY, name="theirs", external_port=1))

    worker.pass_over()
    worker.seconds += GRACE_SECONDS
    worker.pass_over()

    assert worker.engine.inspect(theirs) is not None


def test_a_turn_is_taken_by_one_worker_an_interval(worker: Worker) -> None:
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))

    turns = [each.census.take_turn(worker.engine_id, 60.0) for each in (worker, other, worker)]
    worker.census.request_pass(worker.engine_id)
    asked = other.census.take_turn(worker.engine_id, 60.0)

    assert (turns, asked) == ([True, False, False], True)


def test_a_nomination_does_not_cut_a_backoff_short(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.end(worker.docker_id(container_id), 1)
    worker.pass_over()
    due = worker.installation.row("containers", container_id)["next_attempt_at"]

    claim = worker.observe(container_id)
    worker.carry_out(claim)

    row = worker.installation.row("containers", container_id)
    assert claim.lease.work is Work.OBSERVE
    assert (row["status"], row["restart_at"] is not None) == ("exited", True)
    assert abs((row["next_attempt_at"] - due).total_seconds()) < 1


def test_a_look_that_fails_changes_nothing_and_the_next_pass_repairs_it(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.end(worker.docker_id(container_id), 1)
    worker.engine.fail_next("inspect", EngineTransient("not now"))

    worker.carry_out(worker.observe(container_id))
    untold = worker.told(container_id)
    worker.pass_over()

    assert untold == RAN
    assert worker.told(container_id) == [*RAN, "stopped"]


def test_a_start_that_was_wished_again_before_a_stop_was_taken_up_is_carried_out(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    started = worker.installation.wish(container_id, Desired.RUNNING)

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["applied_generation"]) == ("running", started)
    assert worker.told(container_id) == RAN


def test_a_stop_of_a_container_that_crashed_before_tells_the_crash(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.end(worker.docker_id(container_id), 9)
    # The fake's clock runs years ahead of ours.
    worker.installation.execute("UPDATE containers SET wished_at = '2040-01-01'")
    worker.installation.execute(
        "UPDATE containers SET desired = 'stopped', generation = generation + 1"
    )

    worker.work()

    (event,) = worker.installation.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb ->> 'cause' AS cause FROM events"
        f" WHERE type = 'container.stopped' AND container_id = {container_id}"
    )
    assert event["cause"] == "crash"
