"""Starting, stopping and deleting containers, as design section 4 has it; nothing is waited for."""

from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import CONTAINER_KEYS, checked_problem
from tests.integration.http.footprint import World


@pytest.mark.parametrize("wish", ["start", "stop"])
def test_a_failed_container_is_neither_started_nor_stopped(
    client: httpx.Client, image_id: int, backstage: Backstage, world: World, wish: str
) -> None:
    [made] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id, failure="its port did not answer")

    with world.left_alone():
        response = client.post(f"/api/containers/{made['id']}/{wish}")

    problem = checked_problem(response, 409, "container-refuses")
    assert problem["current"] == "failed"


def test_a_container_is_not_stopped_while_it_is_created(
    client: httpx.Client, image_id: int, backstage: Backstage, world: World
) -> None:
    [made] = client.post(f"/api/containers/{image_id}?wait=0").json()

    with world.left_alone():
        response = client.post(f"/api/containers/{made['id']}/stop")

    backstage.work_off(image_id)
    problem = checked_problem(response, 409, "container-refuses")
    assert (problem["current"], problem["requested"]) == ("creating", "stopped")
    assert "delete" in problem["detail"]


def test_a_stop_and_a_start_show_at_once_what_is_desired(
    client: httpx.Client, backstage: Backstage, running: Any
) -> None:
    path = f"/api/containers/{running['id']}"

    stopping = client.post(f"{path}/stop?wait=0")
    backstage.work_off(running["image_id"])
    stopped = client.get(path).json()
    starting = client.post(f"{path}/start?wait=0")
    backstage.work_off(running["image_id"])
    restarted = client.get(path).json()

    assert stopping.status_code == starting.status_code == 202
    assert stopping.json().keys() == starting.json().keys() == CONTAINER_KEYS
    assert (stopping.json()["status"], stopping.json()["desired"]) == ("stopping", "stopped")
    assert (stopped["status"], stopped["exit_code"]) == ("stopped", 0)
    assert stopped["finished_at"]
    assert (starting.json()["status"], starting.json()["desired"]) == ("starting", "running")
    assert (restarted["status"], restarted["restart_count"]) == ("running", 1)
    assert restarted["external_port"] == running["external_port"]


@pytest.mark.parametrize("wait", ["0", "30"])
def test_repeating_a_desired_state_is_200_and_records_nothing(
    client: httpx.Client, backstage: Backstage, running: Any, world: World, wait: str
) -> None:
    path = f"/api/containers/{running['id']}"

    with world.left_alone():
        started = client.post(f"{path}/start?wait={wait}")
    client.post(f"{path}/stop?wait=0")
    backstage.work_off(running["image_id"])
    with world.left_alone():
        stopped = client.post(f"{path}/stop?wait={wait}")

    assert (started.status_code, started.json()) == (200, running)
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")


def test_repeating_a_wish_that_is_not_carried_out_yet_is_202(
    client: httpx.Client, backstage: Backstage, running: Any, world: World
) -> None:
    path = f"/api/containers/{running['id']}"
    client.post(f"{path}/stop?wait=0")

    with world.left_alone():
        again = client.post(f"{path}/stop?wait=0")

    backstage.work_off(running["image_id"])
    assert (again.status_code, again.json()["status"]) == (202, "stopping")


def test_an_exited_container_is_started_again(
    client: httpx.Client, backstage: Backstage, running: Any
) -> None:
    path = f"/api/containers/{running['id']}"
    backstage.crash(running["id"])
    exited = client.get(path).json()

    starting = client.post(f"{path}/start?wait=0")

    backstage.work_off(running["image_id"])
    assert (exited["status"], exited["exit_code"]) == ("exited", 137)
    assert exited["status_reason"] == "exited with code 137"
    assert (starting.status_code, starting.json()["status"]) == (202, "starting")
    assert client.get(path).json()["status"] == "running"


def test_a_delete_is_202_until_it_is_gone_and_404_from_then_on(
    client: httpx.Client, backstage: Backstage, running: Any, world: World
) -> None:
    path = f"/api/containers/{running['id']}"

    deleting = client.delete(f"{path}?wait=0")
    with world.left_alone():
        again = client.delete(f"{path}?wait=0")
        refused = [client.post(f"{path}/{wish}") for wish in ("start", "stop")]
    backstage.work_off(running["image_id"])
    with world.left_alone():
        gone = [client.get(path), client.delete(path), client.post(f"{path}/start")]

    assert deleting.status_code == again.status_code == 202
    assert deleting.json().keys() == CONTAINER_KEYS
    assert deleting.json()["status"] == again.json()["status"] == "deleting"
    for response in refused:
        assert checked_problem(response, 409, "container-refuses")["current"] == "deleting"
    for response in gone:
        checked_problem(response, 404, "not-found")
    assert running["id"] not in {
        container["id"] for container in client.get("/api/containers").json()
    }


def test_a_container_may_be_deleted_while_it_is_created_or_when_it_failed(
    client: httpx.Client, backstage: Backstage, image_id: int
) -> None:
    [failed] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id, failure="its port did not answer")
    [creating] = client.post(f"/api/containers/{image_id}?wait=0").json()
    paths = [f"/api/containers/{container['id']}" for container in (failed, creating)]

    responses = [client.delete(f"{path}?wait=0") for path in paths]

    backstage.work_off(image_id, 2)
    assert [response.status_code for response in responses] == [202, 202]
    for path in paths:
        checked_problem(client.get(path), 404, "not-found")


def test_each_transition_is_in_the_ledger_once_and_in_order(
    client: httpx.Client, backstage: Backstage, running: Any, module_database: str
) -> None:
    path = f"/api/containers/{running['id']}"
    for wish in ("stop", "start"):
        client.post(f"{path}/{wish}?wait=0")
        backstage.work_off(running["image_id"])
    client.delete(f"{path}?wait=0")
    backstage.work_off(running["image_id"])

    with psycopg.connect(module_database) as connection:
        told = connection.execute(
            "SELECT type, sequence FROM events WHERE container_id = %s ORDER BY id", [running["id"]]
        ).fetchall()

    assert told == [
        ("container.created", 1),
        ("container.started", 2),
        ("container.stopped", 3),
        ("container.started", 4),
        ("container.stopped", 5),
        ("container.deleted", 6),
    ]
