"""Cancelling and repeating builds, as the api answers it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from application.leases import Lease
from application.unit_of_work import UnitOfWork
from domain.build import LogTail
from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage, now
from tests.integration.http.edge import IMAGE_KEYS, caller, checked_problem, upload
from tests.integration.http.footprint import World

# Far beyond what any of these takes, far below the wait itself.
PROMPT_SECONDS = 5.0

Background = Callable[..., "Future[httpx.Response]"]


@pytest.fixture
def in_background() -> Iterator[Background]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def test_a_cancel_of_a_queued_build_is_200_at_once(
    client: httpx.Client, module_database: str
) -> None:
    image_id = upload(client)["id"]

    response = client.post(f"/api/images/{image_id}/cancel")

    image = response.json()
    assert (response.status_code, image.keys()) == (200, IMAGE_KEYS)
    assert (image["status"], image["status_reason"]) == ("build_cancelled", "cancelled")
    assert _told(module_database, image_id) == ["image.build_started", "image.build_cancelled"]


def test_a_cancel_of_a_running_build_is_200_when_it_has_ended(
    client: httpx.Client, backstage: Backstage, module_database: str, in_background: Background
) -> None:
    image_id = upload(client)["id"]
    lease = backstage.begin_build(image_id)

    answer = in_background(client.post, f"/api/images/{image_id}/cancel?wait=60")
    _wait_until_cancel_is_recorded(module_database, lease.id)
    waiting = not answer.done()
    backstage.end_cancelled_build(lease, "step 1\n")

    response = answer.result(PROMPT_SECONDS)
    assert waiting
    assert (response.status_code, response.json()["status"]) == (200, "build_cancelled")
    assert response.json()["build_logs"] == "step 1\n"


@pytest.mark.parametrize(("error", "status"), [(None, "ready"), ("step 3 failed", "build_failed")])
def test_a_cancel_tells_truthfully_of_a_build_that_ended_before_it_was_reached(
    client: httpx.Client,
    backstage: Backstage,
    module_database: str,
    in_background: Background,
    error: str | None,
    status: str,
) -> None:
    image_id = upload(client)["id"]
    lease = backstage.begin_build(image_id)

    answer = in_background(client.post, f"/api/images/{image_id}/cancel?wait=60")
    _wait_until_cancel_is_recorded(module_database, lease.id)
    backstage.end_build(lease, "the end\n", error=error)

    response = answer.result(PROMPT_SECONDS)
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["status_reason"]) == (status, error)


def test_a_cancel_that_is_not_carried_out_yet_is_202_and_stands(
    client: httpx.Client, backstage: Backstage
) -> None:
    image_id = upload(client)["id"]
    lease = backstage.begin_build(image_id)

    answers = [client.post(f"/api/images/{image_id}/cancel?wait={wait}") for wait in ("0", "0.2")]
    backstage.end_cancelled_build(lease)

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [
        (202, "building")
    ] * 2
    assert client.get(f"/api/images/{image_id}").json()["status"] == "build_cancelled"


@pytest.mark.parametrize("end", ["ready", "build_failed", "build_cancelled"])
def test_there_is_nothing_to_cancel_in_an_image_that_does_not_build(
    client: httpx.Client, backstage: Backstage, world: World, end: str
) -> None:
    image_id = upload(client)["id"]
    if end == "build_cancelled":
        client.post(f"/api/images/{image_id}/cancel")
    else:
        error = None if end == "ready" else "step 3 failed"
        backstage.end_build(backstage.begin_build(image_id), "", error=error)

    with world.left_alone():
        response = client.post(f"/api/images/{image_id}/cancel")

    problem = checked_problem(response, 409, "image-refuses")
    assert (problem["current"], problem["requested"]) == (end, "cancel")


def test_an_image_in_deletion_takes_neither_a_cancel_nor_a_rebuild(
    client: httpx.Client, backstage: Backstage, image_id: int, world: World
) -> None:
    client.delete(f"/api/images/{image_id}?wait=0")

    with world.left_alone():
        refused = [client.post(f"/api/images/{image_id}/{wish}") for wish in ("cancel", "rebuild")]
    backstage.remove_image(image_id)
    with world.left_alone():
        gone = [client.post(f"/api/images/{image_id}/{wish}") for wish in ("cancel", "rebuild")]

    for response in refused:
        assert checked_problem(response, 409, "image-refuses")["current"] == "deleting"
    for response in gone:
        checked_problem(response, 404, "not-found")


def test_a_rebuild_is_200_at_once_with_the_image_building_and_an_empty_log(
    client: httpx.Client, backstage: Backstage, image_id: int, module_database: str
) -> None:
    before = client.get(f"/api/images/{image_id}").json()

    response = client.post(f"/api/images/{image_id}/rebuild")

    image = response.json()
    assert (response.status_code, image.keys()) == (200, IMAGE_KEYS)
    assert (image["status"], image["build_logs"]) == ("building", "")
    assert image["image_digest"] == before["image_digest"]
    backstage.build(image_id)
    assert client.get(f"/api/images/{image_id}").json()["status"] == "ready"
    assert _told(module_database, image_id) == ["image.build_started", "image.ready"] * 2


def test_a_rebuild_while_containers_run_leaves_them_alone_and_admits_more(
    client: httpx.Client, backstage: Backstage, running: Any
) -> None:
    image_id = running["image_id"]

    client.post(f"/api/images/{image_id}/rebuild")
    [created] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id)
    backstage.end_build(backstage.begin_build(image_id), "", error="step 3 failed")

    image = client.get(f"/api/images/{image_id}").json()
    assert (image["status"], image["status_reason"]) == ("build_failed", "step 3 failed")
    assert client.get(f"/api/containers/{running['id']}").json() == running
    assert client.get(f"/api/containers/{created['id']}").json()["status"] == "running"


def test_an_image_that_builds_is_not_rebuilt(client: httpx.Client, world: World) -> None:
    image_id = upload(client)["id"]

    with world.left_alone():
        response = client.post(f"/api/images/{image_id}/rebuild")

    problem = checked_problem(response, 409, "image-refuses")
    assert (problem["current"], problem["requested"]) == ("building", "rebuild")


def test_of_rebuilds_at_once_one_is_200_and_the_others_are_409(
    api: ServiceProcess, image_id: int, module_database: str
) -> None:
    def rebuild(_: int) -> httpx.Response:
        with caller(api.url) as client:
            return client.post(f"/api/images/{image_id}/rebuild")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(rebuild, range(4)))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 3
    for answer in refused:
        checked_problem(answer, 409, "image-refuses")
    assert _told(module_database, image_id)[2:] == ["image.build_started"]


def test_a_cancel_and_a_delete_at_once_are_both_answered_and_told_once(
    api: ServiceProcess, client: httpx.Client, backstage: Backstage, module_database: str
) -> None:
    for _ in range(5):
        image_id = upload(client)["id"]

        def ask(method: str, path: str) -> httpx.Response:
            with caller(api.url) as other:
                return other.request(method, path)

        with ThreadPoolExecutor(2) as pool:
            cancel = pool.submit(ask, "POST", f"/api/images/{image_id}/cancel")
            delete = pool.submit(ask, "DELETE", f"/api/images/{image_id}?wait=0")
            cancelled, deleted = cancel.result(), delete.result()
        backstage.remove_image(image_id)

        assert deleted.status_code == 202
        if cancelled.status_code != 200:
            assert checked_problem(cancelled, 409, "image-refuses")["current"] == "deleting"
        assert _told(module_database, image_id) == [
            "image.build_started",
            "image.build_cancelled",
            "image.deleted",
        ]


def test_an_image_that_went_while_its_cancel_was_waited_for_is_404(
    client: httpx.Client, backstage: Backstage, module_database: str, in_background: Background
) -> None:
    image_id = upload(client)["id"]
    lease = backstage.begin_build(image_id)

    answer = in_background(client.post, f"/api/images/{image_id}/cancel?wait=60")
    _wait_until_cancel_is_recorded(module_database, lease.id)
    backstage.run(lambda uow: _gone_at_once(uow, lease))

    checked_problem(answer.result(PROMPT_SECONDS), 404, "not-found")


@pytest.mark.parametrize("wait", ["", "soon", "-1", "301", "nan"])
def test_a_cancel_whose_wait_is_no_number_of_seconds_is_refused(
    client: httpx.Client, world: World, wait: str
) -> None:
    image_id = upload(client)["id"]

    with world.left_alone():
        response = client.post(f"/api/images/{image_id}/cancel?wait={wait}")

    problem = checked_problem(response, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["wait"]


@pytest.mark.parametrize("wish", ["cancel", "rebuild"])
@pytest.mark.parametrize("image_id", ["0", "-1", "x", str(2**63)])
def test_an_id_that_could_not_exist_is_404(client: httpx.Client, wish: str, image_id: str) -> None:
    checked_problem(client.post(f"/api/images/{image_id}/{wish}"), 404, "not-found")


@pytest.mark.parametrize("wish", ["cancel", "rebuild"])
def test_only_a_post_is_taken(client: httpx.Client, image_id: int, wish: str) -> None:
    response = client.get(f"/api/images/{image_id}/{wish}")

    checked_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def _gone_at_once(uow: UnitOfWork, lease: Lease) -> None:
    """Record in one what otherwise takes the deletion, its build and its removal."""
    image, build = uow.images.lock(lease.image_id), uow.builds.lock(lease.id)
    image.request_delete(0, now=now(), request_id="delete")
    build.cancel(LogTail("", truncated=False), now())
    image.record_build_cancelled(build, now())
    image.record_deleted(now())
    uow.builds.save(build)
    uow.images.save(image)


def _told(database: str, image_id: int) -> list[str]:
    with psycopg.connect(database) as connection:
        return [
            type_
            for (type_,) in connection.execute(
                "SELECT type FROM events WHERE stream = %s ORDER BY sequence",
                [f"image/{image_id}"],
            )
        ]


def _wait_until_cancel_is_recorded(database: str, build_id: int) -> None:
    deadline = time.monotonic() + PROMPT_SECONDS
    with psycopg.connect(database, autocommit=True) as connection:
        while not connection.execute(
            "SELECT 1 FROM builds WHERE id = %s AND cancel_requested", [build_id]
        ).fetchone():
            assert time.monotonic() < deadline
