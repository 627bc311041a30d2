"""Clients that hang up, send too much, or come all at once."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import checked_problem, upload
from tests.integration.http.footprint import World
from tests.integration.http.raw_requests import RawRequest, wait_until
from tests.integration.http.uploads import CONTENT_TYPE, good_body

MIB = 1024 * 1024
MAX_UPLOAD_BYTES = 4 * MIB
CONCURRENT_UPLOADS = 16

# The file begins, and then comes more of it than the api gathers before it writes.
BEGINNING = good_body().partition(b"x" * 512)[0][:-200] + b"x" * (2 * MIB)


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    return {"MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES)}


@contextlib.contextmanager
def begun_upload(api: ServiceProcess, world: World) -> Iterator[RawRequest]:
    """An upload whose file is on disk in part; more would follow."""
    before = len(world.incoming_files())
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(3 * MIB)}
    with RawRequest(api.url, "POST /api/images", headers) as request:
        request.send(BEGINNING)
        wait_until(lambda: len(world.incoming_files()) > before, "the file is being written")
        yield request


def test_a_client_that_hangs_up_within_its_upload_leaves_nothing(
    api: ServiceProcess, client: httpx.Client, world: World
) -> None:
    with world.left_alone_soon(), begun_upload(api, world) as request:
        request.hang_up()

    assert client.get("/healthz").status_code == 200


def test_a_client_that_hangs_up_within_a_chunk_leaves_nothing(
    api: ServiceProcess, world: World
) -> None:
    headers = {"Content-Type": CONTENT_TYPE, "Transfer-Encoding": "chunked"}

    with (
        world.left_alone_soon(),
        RawRequest(api.url, "POST /api/images", headers) as request,
    ):
        request.send_chunk(BEGINNING)
        wait_until(world.incoming_files, "the file is being written")
        request.send(b"ffff\r\nhalf of a chunk")


def test_a_client_that_hangs_up_within_its_json_leaves_nothing(
    api: ServiceProcess, client: httpx.Client, backstage: Backstage, world: World
) -> None:
    image_id = upload(client)["id"]
    backstage.build(image_id)
    headers = {"Content-Type": "application/json", "Content-Length": "12"}

    with (
        world.left_alone(),
        RawRequest(api.url, f"POST /api/containers/{image_id}", headers) as request,
    ):
        request.send(b'{"count"')

    with world.left_alone():
        assert client.get("/healthz").status_code == 200


def test_what_is_announced_too_large_is_refused_before_it_is_sent(
    api: ServiceProcess, world: World
) -> None:
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Content-Length": str(MAX_UPLOAD_BYTES + MIB),
        "Expect": "100-continue",
    }

    with world.left_alone(), RawRequest(api.url, "POST /api/images", headers) as request:
        answer = request.answer()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"urn:orchestrator:problem:upload-too-large" in answer


def test_what_turns_out_too_large_is_refused_and_the_connection_serves_on(
    client: httpx.Client, world: World
) -> None:
    endless = (BEGINNING if n == 0 else b"x" * MIB for n in range(8))

    with world.left_alone():
        response = client.post(
            "/api/images", content=endless, headers={"Content-Type": CONTENT_TYPE}
        )

    checked_problem(response, 413, "upload-too-large")
    assert client.get("/api/images").status_code == 200


def test_more_uploads_at_once_than_are_served_are_asked_to_come_back(
    api: ServiceProcess, client: httpx.Client, world: World
) -> None:
    with world.left_alone_soon(), contextlib.ExitStack() as uploads:
        for _ in range(CONCURRENT_UPLOADS):
            uploads.enter_context(begun_upload(api, world))

        response = client.post(
            "/api/images", content=good_body(), headers={"Content-Type": CONTENT_TYPE}
        )

    checked_problem(response, 429, "too-many-uploads")
    assert int(response.headers["retry-after"]) > 0
    assert upload(client)["status"] == "building"


def test_who_hangs_up_while_waiting_has_still_wished(
    api: ServiceProcess, client: httpx.Client, backstage: Backstage
) -> None:
    image_id = upload(client)["id"]
    backstage.build(image_id)

    with RawRequest(api.url, f"POST /api/containers/{image_id}?wait=60", {"Content-Length": "0"}):
        wait_until(
            lambda: client.get(f"/api/images/{image_id}/containers").json(), "it is recorded"
        )
    backstage.work_off(image_id)

    [container] = client.get(f"/api/images/{image_id}/containers").json()
    assert container["status"] == "running"
