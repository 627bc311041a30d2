"""From wished to running, past names and ports that others hold."""

from dataclasses import replace
from uuid import uuid4

import pytest

from application.engine_calls import ContainerOrder
from application.errors import EngineTransient, NameConflict, OutcomeUnknown
from application.new_container import NAMES_TRIED, PORTS_TRIED
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.creations import created
from tests.integration.worker.worker import Worker


def test_a_container_whose_port_answers_is_told_as_created_and_started(worker: Worker) -> None:
    container_id = created(worker)

    worker.work()

    row = worker.installation.row("containers", container_id)
    (seen,) = worker.engine.snapshot().containers.values()
    assert (row["status"], row["docker_id"]) == ("running", seen.docker_id)
    assert (row["started_at"], row["container_ip"]) == (seen.started_at, "172.17.0.2")
    assert worker.told(container_id) == ["created", "started"]
    assert worker.work() == 0


def test_nothing_is_told_before_the_port_answered(worker: Worker) -> None:
    container_id = created(worker)

    claim = worker.claim()
    probe = worker.reconcile.act(claim)

    assert probe is not None
    assert probe.port == FIRST_PORT
    assert (worker.status(container_id), worker.told(container_id)) == ("creating", [])


def test_a_container_that_an_earlier_attempt_left_behind_is_adopted(worker: Worker) -> None:
    container_id = created(worker)
    worker.engine.fail_next("create", OutcomeUnknown("cut off"), after=True)

    worker.work()
    left_behind = set(worker.engine.snapshot().containers)
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == "running"
    assert set(worker.engine.snapshot().containers) == left_behind
    assert worker.told(container_id) == ["created", "started"]


def test_one_of_ours_that_was_made_differently_is_replaced(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    stale = worker.docker.create(ContainerOrder.of(claim.container, 29999), "test")

    worker.carry_out(claim)

    (seen,) = worker.engine.snapshot().containers.values()
    assert seen.docker_id != stale
    assert worker.status(container_id) == "running"


def test_a_stranger_that_bears_the_name_is_left_alone_and_ours_takes_another(
    worker: Worker,
) -> None:
    container_id = created(worker)
    claim = worker.claim()
    stranger = replace(ContainerOrder.of(claim.container, 29999), uid=uuid4())
    worker.docker.create(stranger, "somebody else's")

    worker.carry_out(claim)

    row = worker.installation.row("containers", container_id)
    assert row["status"] == "running"
    assert row["name"].startswith(stranger.name)
    assert len(row["name"]) == len(stranger.name) + 8
    assert worker.engine.snapshot().containers[stranger.name].uid == stranger.uid


def test_a_name_that_stays_taken_is_tried_again_later(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    for _ in range(NAMES_TRIED):
        worker.engine.fail_next("create", NameConflict("taken"))

    worker.carry_out(claim)

    assert isinstance(worker.setbacks[-1], EngineTransient)
    assert worker.status(container_id) == "creating"
    assert worker.engine.snapshot().containers == {}


@pytest.mark.parametrize("strangers", [1, PORTS_TRIED - 1])
def test_a_port_that_a_stranger_holds_is_set_aside_and_another_is_taken(
    worker: Worker, strangers: int
) -> None:
    container_id = created(worker)
    for port in range(FIRST_PORT, FIRST_PORT + strangers):
        worker.docker.occupy_port(port)

    worker.work()

    row = worker.installation.row("containers", container_id)
    aside = worker.installation.rows(
        "SELECT port FROM host_ports WHERE free_after > now() + interval '9 minutes' ORDER BY port"
    )
    assert (row["status"], row["external_port"]) == ("running", FIRST_PORT + strangers)
    assert [row["port"] for row in aside] == list(range(FIRST_PORT, FIRST_PORT + strangers))
    assert worker.held_ports() == [FIRST_PORT + strangers]
    assert len(worker.engine.snapshot().containers) == 1


def test_without_a_free_port_the_container_waits_and_keeps_its_own(worker: Worker) -> None:
    container_id = created(worker)
    worker.docker.occupy_port(FIRST_PORT)
    worker.installation.execute(
        f"UPDATE host_ports SET free_after = 'infinity' WHERE port <> {FIRST_PORT}"
    )

    worker.work()

    assert (worker.status(container_id), worker.held_ports()) == ("creating", [FIRST_PORT])
    assert isinstance(worker.setbacks[-1], EngineTransient)
