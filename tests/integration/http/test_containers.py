"""Creating and showing containers, as design section 8 has it; nothing is waited for."""

from typing import Any

import httpx
import pytest

from tests.integration.http.backstage import HOST, Backstage
from tests.integration.http.edge import CONTAINER_KEYS, checked_problem, upload
from tests.integration.http.footprint import World


def test_a_create_answers_an_array_of_what_is_being_created(
    client: httpx.Client, image_id: int, backstage: Backstage
) -> None:
    response = client.post(
        f"/api/containers/{image_id}?wait=0",
        json={"name": "web", "count": 2, "env": {"GREETING": "hello"}},
    )

    backstage.work_off(image_id, 2)
    containers = response.json()
    assert response.status_code == 202
    assert len(containers) == 2
    assert containers[0]["id"] < containers[1]["id"]
    assert len({container["external_port"] for container in containers}) == 2
    for container in containers:
        assert container.keys() == CONTAINER_KEYS
        assert container["name"].startswith("web-")
        assert container["external_port"] >= 20000
        assert container == container | {
            "image_id": image_id,
            "user_id": "ada",
            "status": "creating",
            "status_reason": None,
            "desired": "running",
            "container_id": None,
            "container_ip": None,
            "host": HOST,
            "internal_port": 5000,
            "app_hostname": "shop.example.com",
            "exit_code": None,
            "oom_killed": None,
            "restart_count": 0,
            "last_log_lines": None,
            "started_at": None,
            "finished_at": None,
        }


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_a_create_without_wishes_makes_one_container_named_like_its_image(
    client: httpx.Client, image_id: int, backstage: Backstage, content: bytes
) -> None:
    response = client.post(
        f"/api/containers/{image_id}?wait=0",
        content=content,
        headers={"Content-Type": "application/json"},
    )

    backstage.work_off(image_id)
    [container] = response.json()
    assert response.status_code == 202
    assert container["name"].startswith("my-shop-")


def test_a_container_that_came_up_shows_where_it_is_and_since_when(running: Any) -> None:
    assert running.keys() == CONTAINER_KEYS
    assert (running["status"], running["desired"]) == ("running", "running")
    assert running["container_id"]
    assert running["container_ip"]
    assert running["started_at"]
    assert running["finished_at"] is None


def test_containers_are_listed_newest_first_own_only_with_and_without_a_slash(
    client: httpx.Client, stranger: httpx.Client, image_id: int, backstage: Backstage
) -> None:
    made = client.post(f"/api/containers/{image_id}?wait=0", json={"count": 3}).json()
    backstage.work_off(image_id, 3)

    for path in ("/api/containers", "/api/containers/"):
        response = client.get(path, follow_redirects=False)

        assert response.status_code == 200
        ids = [container["id"] for container in response.json()]
        assert ids[:3] == [container["id"] for container in made][::-1]
        assert all(container.keys() == CONTAINER_KEYS for container in response.json())
        assert stranger.get(path).json() == []


def test_a_failed_container_stays_visible_and_gives_its_port_and_slot_back(
    client: httpx.Client, image_id: int, backstage: Backstage
) -> None:
    [made] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id, failure="its port did not answer")

    container = client.get(f"/api/containers/{made['id']}").json()
    refilled = client.post(f"/api/containers/{image_id}?wait=0", json={"count": 3})

    backstage.work_off(image_id, 3)
    assert container["status"] == "failed"
    assert container["status_reason"] == "its port did not answer"
    assert container["last_log_lines"] == "its last words"
    assert container["external_port"] is None
    assert refilled.status_code == 202


def test_what_does_not_fit_is_refused_as_a_whole_and_told_how_many_are_left(
    client: httpx.Client, backstage: Backstage, running: Any, world: World
) -> None:
    path = f"/api/containers/{running['image_id']}"

    with world.left_alone():
        response = client.post(path, json={"count": 3})

    problem = checked_problem(response, 409, "instance-limit-reached")
    assert (problem["max_instances"], problem["left"], problem["requested"]) == (3, 2, 3)
    assert "2 of max_instances=3 left" in problem["detail"]


def test_no_container_is_created_from_an_image_that_is_not_ready(
    client: httpx.Client, backstage: Backstage, world: World
) -> None:
    building = upload(client)["id"]
    failed = upload(client)["id"]
    backstage.end_build(backstage.begin_build(failed), "no\n", error="step 1 failed")

    with world.left_alone():
        responses = [client.post(f"/api/containers/{id_}") for id_ in (building, failed)]

    for response, status in zip(responses, ("building", "build_failed"), strict=True):
        assert checked_problem(response, 409, "image-not-usable")["current"] == status


def test_no_free_host_port_is_503_and_worth_another_try(
    client: httpx.Client, backstage: Backstage, image_id: int, world: World
) -> None:
    with backstage.without_ports(), world.left_alone():
        response = client.post(f"/api/containers/{image_id}")

    checked_problem(response, 503, "no-free-port")
    assert int(response.headers["retry-after"]) > 0
