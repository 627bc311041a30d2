"""What happens to containers behind the back of the service, seen at a second look and told."""

import pytest

from application.errors import EngineTransient, EngineUnreachable
from domain.container_status import Desired
from tests.integration.worker.worker import RAN, Worker


@pytest.mark.parametrize("desired", [Desired.RUNNING, Desired.STOPPED])
def test_a_container_that_vanished_is_told_as_stopped_and_deleted(
    worker: Worker, desired: Desired
) -> None:
    container_id = worker.run_container()
    worker.docker.remove(worker.docker_id(container_id))

    if desired is Desired.STOPPED:
        worker.wish(container_id, desired)
    else:
        worker.carry_out(worker.observe(container_id))
    told_without_a_list = worker.told(container_id)
    worker.pass_over()
    worker.come_due()
    worker.work()

    assert told_without_a_list == RAN
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]
    assert worker.held_ports() == []
    assert worker.work() == 0


@pytest.mark.parametrize("listed", [False, True])
def test_a_deletion_wished_while_the_container_vanished_is_carried_out(
    worker: Worker, *, listed: bool
) -> None:
    container_id = worker.run_container()
    claim = worker.observe(container_id)
    worker.docker.remove(worker.docker_id(container_id))
    if listed:
        worker.installation.note_missing(container_id)
    worker.installation.wish(container_id, Desired.DELETED)

    worker.carry_out(claim)
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["applied_generation"]) == ("deleted", row["generation"])
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]


@pytest.mark.parametrize("moved", [False, True])
def test_trouble_that_is_over_is_told_no_more(worker: Worker, *, moved: bool) -> None:
    container_id = worker.run_container()
    for desired in (Desired.STOPPED, Desired.RUNNING):
        worker.installation.wish(container_id, desired)
    worker.engine.fail_next("inspect", EngineUnreachable("nobody answers"))

    worker.carry_out(worker.claim())
    meanwhile = worker.installation.row("containers", container_id)["status_reason"]
    if moved:
        worker.installation.execute("UPDATE containers SET container_ip = '172.17.0.99'")
    worker.come_due()
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (meanwhile, row["status_reason"]) == ("nobody answers", None)
    assert worker.told(container_id) == [*RAN, "endpoint_changed"][: 3 if moved else 2]


def test_a_look_does_not_hide_why_a_deletion_has_to_wait(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.DELETED)
    worker.engine.fail_next("inspect", EngineTransient("not now"))
    worker.carry_out(worker.claim())

    worker.carry_out(worker.observe(container_id))

    assert worker.installation.row("containers", container_id)["status_reason"] == "not now"


def test_a_crash_that_is_observed_is_told_as_stopped(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.end(worker.docker_id(container_id), 139)

    worker.carry_out(worker.observe(container_id))

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["status_reason"]) == ("exited", "exited with code 139")
    assert worker.told(container_id) == [*RAN, "stopped"]


def test_a_restart_behind_our_back_is_told_as_stopped_and_started(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.docker.restart(worker.docker_id(container_id))

    worker.carry_out(worker.observe(container_id))

    assert worker.told(container_id) == [*RAN, "stopped", "started"]
    assert worker.status(container_id) == "running"


def test_a_stopped_container_that_somebody_started_is_told_and_stopped_again(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    worker.wish(container_id, Desired.STOPPED)
    worker.docker.start(worker.docker_id(container_id))

    # Nothing is wished anew: what was observed calls for the step.
    worker.carry_out(worker.observe(container_id))
    worker.work()

    assert worker.told(container_id) == [*RAN, "stopped", "started", "stopped"]
    assert worker.status(container_id) == "stopped"


def test_an_observation_that_finds_nothing_new_tells_nothing(worker: Worker) -> None:
    container_id = worker.run_container()

    worker.carry_out(worker.observe(container_id))

    assert worker.told(container_id) == RAN
    assert worker.work() == 0
