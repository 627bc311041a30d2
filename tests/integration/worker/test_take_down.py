"""Stops, later starts and deletions of containers."""

import pytest

from application.errors import (
    EngineTransient,
    EngineUnreachable,
    LeaseLost,
    OutcomeUnknown,
    StartWedged,
)
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.worker import RAN, Worker


@pytest.mark.parametrize(("app", "code"), [(App(), 143), (App(ignores_sigterm=True), 137)])
def test_a_stop_is_told_with_the_exit_code_and_keeps_port_and_container(
    worker: Worker, app: App, code: int
) -> None:
    container_id = worker.run_container(app)

    worker.wish(container_id, Desired.STOPPED)

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["exit_code"], row["external_port"]) == ("stopped", code, FIRST_PORT)
    assert worker.told(container_id) == [*RAN, "stopped"]
    assert len(worker.engine.snapshot().containers) == 1


def test_a_stopped_container_starts_again_on_its_port_as_a_new_run(worker: Worker) -> None:
    container_id = worker.run_container()
    first = worker.docker_id(container_id)
    worker.wish(container_id, Desired.STOPPED)

    worker.wish(container_id, Desired.RUNNING)

    row = worker.installation.row("containers", container_id)
    assert (row["docker_id"], row["external_port"]) == (first, FIRST_PORT)
    assert worker.told(container_id) == [*RAN, "stopped", "started"]
    runs = worker.installation.rows(
        "SELECT convert_from(payload, 'UTF8')::json->>'run_id' AS run FROM events "
        "WHERE type = 'container.started'"
    )
    assert len({row["run"] for row in runs}) == 2


def test_a_later_start_on_a_taken_port_fails_and_keeps_what_it_has(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.wish(container_id, Desired.STOPPED)
    worker.docker.occupy_port(FIRST_PORT)

    worker.wish(container_id, Desired.RUNNING)

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"] == f"host port {FIRST_PORT} is taken by another process"
    assert (row["status"], row["external_port"]) == ("exited", FIRST_PORT)
    assert worker.told(container_id) == [*RAN, "stopped", "failed"]


def test_a_later_start_that_died_with_the_engine_keeps_the_container_that_consumers_know(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    worker.wish(container_id, Desired.STOPPED)
    docker_id = worker.docker_id(container_id)
    worker.engine.fail_next("start", StartWedged("id already in use"))

    worker.wish(container_id, Desired.RUNNING)

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"].startswith("the engine was killed while it started the container")
    assert (row["status"], row["docker_id"]) == ("exited", docker_id)
    assert worker.told(container_id) == [*RAN, "stopped", "failed"]
    assert worker.docker.find(docker_id) is not None


def test_a_deletion_tells_the_end_of_the_run_first_and_cools_the_port_down(
    worker: Worker,
) -> None:
    container_id = worker.run_container()

    worker.wish(container_id, Desired.DELETED)

    cooling = worker.installation.rows("SELECT port FROM host_ports WHERE free_after > now()")
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]
    assert worker.engine.snapshot().containers == {}
    assert (cooling, worker.held_ports()) == ([{"port": FIRST_PORT}], [])


def test_a_stopped_container_is_deleted_without_a_second_end(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.wish(container_id, Desired.STOPPED)

    worker.wish(container_id, Desired.DELETED)

    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]


def test_a_deletion_cut_off_after_the_end_of_the_run_tells_it_once(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.DELETED)
    worker.engine.fail_next("remove", OutcomeUnknown("cut off"), after=True)

    worker.work()
    before = worker.told(container_id)
    worker.come_due()
    worker.work()

    assert before == [*RAN, "stopped"]
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.DELETED])
def test_a_stop_that_the_engine_does_not_carry_out_is_not_recorded(
    worker: Worker, desired: Desired
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, desired)
    worker.engine.fail_next("stop", EngineTransient("try later"))

    worker.work()

    assert worker.told(container_id) == RAN
    worker.come_due()
    worker.work()
    assert worker.told(container_id)[2:] == (
        ["stopped"] if desired is Desired.STOPPED else ["stopped", "deleted"]
    )


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.DELETED])
def test_another_engine_that_answers_ends_nobodys_container(
    worker: Worker, desired: Desired
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, desired)

    worker.engine.another_engine()
    worker.work()

    assert worker.told(container_id) == RAN
    assert worker.status(container_id) in {"stopping", "deleting"}
    assert worker.held_ports() == [FIRST_PORT]


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.DELETED])
def test_an_unreachable_engine_is_no_absence_and_costs_no_attempt(
    worker: Worker, desired: Desired
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, desired)
    worker.docker.reachable = False

    worker.work()

    assert isinstance(worker.setbacks[-1], EngineUnreachable)
    assert worker.told(container_id) == RAN
    assert worker.installation.row("containers", container_id)["attempts"] == 0


@pytest.mark.parametrize("desired", [Desired.STOPPED, Desired.DELETED])
def test_a_worker_that_was_overtaken_during_a_stop_records_nothing(
    worker: Worker, desired: Desired
) -> None:
    container_id = worker.run_container()
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    worker.installation.wish(container_id, desired)
    claim = worker.claim()
    worker.installation.expire_leases()
    other.work()
    told = worker.told(container_id)

    with pytest.raises(LeaseLost):
        worker.carry_out(claim)

    assert worker.told(container_id) == told


def test_a_start_wished_during_a_stop_is_not_told_as_carried_out_by_the_stop(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.engine.fail_next("stop", EngineTransient("not now"))
    worker.carry_out(worker.claim())
    started = worker.installation.wish(container_id, Desired.RUNNING)

    worker.carry_out(worker.claim())
    stopped = worker.installation.row("containers", container_id)
    worker.work()
    row = worker.installation.row("containers", container_id)

    assert (stopped["status"], stopped["applied_generation"]) == ("stopped", 1)
    assert (row["status"], row["applied_generation"]) == ("running", started)
    assert worker.told(container_id) == ["created", "started", "stopped", "started"]
