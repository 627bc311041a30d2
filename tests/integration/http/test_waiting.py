"""`?wait=`: an answer comes with the outcome, by a notification at once, by the poll soon after."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import median
from typing import Any

import httpx
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import caller, checked_problem
from tests.integration.http.footprint import World

# Far beyond what any of these takes, far below the wait itself.
PROMPT_SECONDS = 5.0
# The poll comes once a second, so on average it would take half of one.
BY_NOTIFICATION_SECONDS = 0.35


@pytest.fixture
def in_background() -> Iterator[Callable[..., "Future[httpx.Response]"]]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def test_a_create_is_201_when_all_have_come_up(
    client: httpx.Client, backstage: Backstage, image_id: int, in_background: Any
) -> None:
    answer = in_background(client.post, f"/api/containers/{image_id}?wait=60", json={"count": 2})

    backstage.work_off(image_id)
    assert not answer.done()
    backstage.work_off(image_id)

    response = answer.result(PROMPT_SECONDS)
    assert response.status_code == 201
    assert [container["status"] for container in response.json()] == ["running", "running"]


def test_a_create_whose_app_never_listens_is_201_with_failed(
    client: httpx.Client, backstage: Backstage, image_id: int, in_background: Any
) -> None:
    answer = in_background(client.post, f"/api/containers/{image_id}")

    backstage.work_off(image_id, failure="its port did not answer")

    response = answer.result(PROMPT_SECONDS)
    assert response.status_code == 201
    assert [container["status"] for container in response.json()] == ["failed"]


def test_a_stop_and_a_start_are_200_and_a_delete_is_204_when_they_are_carried_out(
    client: httpx.Client, backstage: Backstage, running: Any, in_background: Any
) -> None:
    path = f"/api/containers/{running['id']}"
    answers = []

    for ask, url in (
        (client.post, f"{path}/stop"),
        (client.post, f"{path}/start?wait=60"),
        (client.delete, path),
    ):
        answer = in_background(ask, url)
        backstage.work_off(running["image_id"])
        answers.append(answer.result(PROMPT_SECONDS))

    assert [answer.status_code for answer in answers] == [200, 200, 204]
    assert [answer.json()["status"] for answer in answers[:2]] == ["stopped", "running"]
    assert answers[2].content == b""


def test_deleting_an_image_is_204_when_nothing_of_it_is_left(
    client: httpx.Client, backstage: Backstage, image_id: int, in_background: Any
) -> None:
    answer = in_background(client.delete, f"/api/images/{image_id}?wait=60")

    backstage.remove_image(image_id)

    response = answer.result(PROMPT_SECONDS)
    assert (response.status_code, response.content) == (204, b"")


def test_a_notification_ends_a_wait_sooner_than_the_poll_would(
    client: httpx.Client, backstage: Backstage, running: Any, in_background: Any
) -> None:
    delays = []

    for wish in ("stop", "start") * 4:
        answer = in_background(client.post, f"/api/containers/{running['id']}/{wish}?wait=60")
        backstage.work_off(running["image_id"])
        recorded = time.monotonic()
        assert answer.result(PROMPT_SECONDS).status_code == 200
        delays.append(time.monotonic() - recorded)

    assert median(delays) < BY_NOTIFICATION_SECONDS, delays


def test_without_a_notification_the_poll_ends_a_wait(
    client: httpx.Client, module_database: str, running: Any, in_background: Any
) -> None:
    with Backstage(module_database, notifying=False) as silent:
        answer = in_background(client.post, f"/api/containers/{running['id']}/stop?wait=60")
        silent.work_off(running["image_id"])

        response = answer.result(PROMPT_SECONDS)

    assert (response.status_code, response.json()["status"]) == (200, "stopped")


def test_a_wait_that_runs_out_is_202_and_the_wish_stands(
    client: httpx.Client, backstage: Backstage, running: Any
) -> None:
    path = f"/api/containers/{running['id']}"

    started = time.monotonic()
    response = client.post(f"{path}/stop?wait=0.3")
    took = time.monotonic() - started

    backstage.work_off(running["image_id"])
    assert (response.status_code, response.json()["status"]) == (202, "stopping")
    assert 0.3 <= took < PROMPT_SECONDS
    assert client.get(path).json()["status"] == "stopped"


def test_a_wish_that_a_later_one_replaced_is_409_superseded(
    client: httpx.Client,
    api: ServiceProcess,
    backstage: Backstage,
    running: Any,
    in_background: Any,
) -> None:
    path = f"/api/containers/{running['id']}"
    with caller(api.url) as other:
        answer = in_background(client.post, f"{path}/stop?wait=60")
        _wait_until_it_shows(other, path, "stopping")

        other.post(f"{path}/start?wait=0")

        problem = checked_problem(answer.result(PROMPT_SECONDS), 409, "superseded")
    backstage.work_off(running["image_id"])
    assert problem["container_ids"] == [running["id"]]


def test_a_delete_supersedes_a_create_that_is_waited_for(
    client: httpx.Client,
    api: ServiceProcess,
    backstage: Backstage,
    image_id: int,
    in_background: Any,
) -> None:
    answer = in_background(client.post, f"/api/containers/{image_id}?wait=60")
    with caller(api.url) as other:
        path = _path_of_only_container(other, image_id)
        other.delete(f"{path}?wait=0")

    problem = checked_problem(answer.result(PROMPT_SECONDS), 409, "superseded")
    backstage.work_off(image_id)
    assert len(problem["container_ids"]) == 1


def test_two_who_delete_the_same_are_both_told_when_it_is_gone(
    client: httpx.Client,
    api: ServiceProcess,
    backstage: Backstage,
    running: Any,
    in_background: Any,
) -> None:
    path = f"/api/containers/{running['id']}"
    with caller(api.url) as other:
        first = in_background(client.delete, f"{path}?wait=60")
        _wait_until_it_shows(other, path, "deleting")
        second = in_background(other.delete, f"{path}?wait=60")
        backstage.work_off(running["image_id"])

        # The second may have come when it was gone already.
        assert first.result(PROMPT_SECONDS).status_code == 204
        assert second.result(PROMPT_SECONDS).status_code in {204, 404}


@pytest.mark.parametrize(
    "wait", ["", "soon", "-1", "301", "nan", "inf", "1e9", "0x10", "%00", "1,5"]
)
def test_a_wait_that_is_no_number_of_seconds_is_refused(
    client: httpx.Client, running: Any, world: World, wait: str
) -> None:
    path = f"/api/containers/{running['id']}"

    with world.left_alone():
        responses = [
            client.post(f"{path}/stop?wait={wait}"),
            client.delete(f"{path}?wait={wait}"),
            client.post(f"/api/containers/{running['image_id']}?wait={wait}"),
            client.delete(f"/api/images/{running['image_id']}?wait={wait}"),
        ]

    for response in responses:
        problem = checked_problem(response, 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == ["wait"]


def _wait_until_it_shows(client: httpx.Client, path: str, status: str) -> None:
    deadline = time.monotonic() + PROMPT_SECONDS
    while client.get(path).json()["status"] != status:
        assert time.monotonic() < deadline


def _path_of_only_container(client: httpx.Client, image_id: int) -> str:
    deadline = time.monotonic() + PROMPT_SECONDS
    while not (listed := client.get(f"/api/images/{image_id}/containers").json()):
        assert time.monotonic() < deadline
    return f"/api/containers/{listed[0]['id']}"
