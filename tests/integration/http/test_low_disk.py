"""Below MIN_FREE_DISK_BYTES no upload begins, and none goes on that would get there."""

import os
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.edge import checked_problem, upload
from tests.integration.http.footprint import World
from tests.integration.http.raw_requests import RawRequest
from tests.integration.http.uploads import (
    CONTENT_TYPE,
    DOCKERFILE,
    body,
    fields,
    file,
    good_body,
    tar,
)
from tests.integration.small_disk import SmallDisk

MIB = 1024 * 1024
MINIMUM_BYTES = 4 * MIB
DETAIL = "the service is short of disk space: uploads are refused until there is room again"


@pytest.fixture(scope="module")
def volume(mounted_disk: SmallDisk) -> Path:
    return mounted_disk.path


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    return {"MIN_FREE_DISK_BYTES": str(MINIMUM_BYTES)}


def large_body() -> bytes:
    return body(fields(), [tar(file("Dockerfile", DOCKERFILE), file("data", os.urandom(3 * MIB)))])


def test_below_the_minimum_an_upload_is_refused_before_a_byte_is_read(
    api: ServiceProcess, disk: SmallDisk, world: World
) -> None:
    disk.fill(MINIMUM_BYTES - 1)
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": "1000"}

    with world.left_alone(), RawRequest(api.url, "POST /api/images", headers) as request:
        answer = request.answer()

    assert answer.startswith(b"HTTP/1.1 507 ")
    assert b"urn:orchestrator:problem:insufficient-storage" in answer
    assert b"retry-after: 60" in answer


def test_an_announced_length_that_would_get_there_is_refused_at_once(
    api: ServiceProcess, disk: SmallDisk, world: World, client: httpx.Client
) -> None:
    disk.fill(MINIMUM_BYTES + MIB)
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(2 * MIB)}

    with world.left_alone(), RawRequest(api.url, "POST /api/images", headers) as request:
        answer = request.answer()

    assert answer.startswith(b"HTTP/1.1 507 ")
    assert upload(client)["status"] == "building"


def test_an_upload_of_unknown_length_ends_where_it_gets_there(
    client: httpx.Client, disk: SmallDisk, world: World
) -> None:
    disk.fill(MINIMUM_BYTES + MIB)
    content = large_body()
    pieces = (content[first : first + 65536] for first in range(0, len(content), 65536))

    with world.left_alone():
        response = client.post(
            "/api/images", content=pieces, headers={"Content-Type": CONTENT_TYPE}
        )

    problem = checked_problem(response, 507, "insufficient-storage")
    assert problem["detail"] == DETAIL


def test_with_room_again_the_same_upload_is_taken(client: httpx.Client, disk: SmallDisk) -> None:
    disk.fill(MINIMUM_BYTES + MIB)
    headers = {"Content-Type": CONTENT_TYPE}
    content = large_body()
    refused = client.post("/api/images", content=content, headers=headers)

    disk.free()
    taken = client.post("/api/images", content=content, headers=headers)

    assert (refused.status_code, taken.status_code) == (507, 201)


def test_a_rebuild_is_refused_before_it_is_queued_and_taken_once_there_is_room(
    client: httpx.Client, disk: SmallDisk, world: World, image_id: int
) -> None:
    building = upload(client)["id"]
    disk.fill(MINIMUM_BYTES - 1)

    with world.left_alone():
        refused = client.post(f"/api/images/{image_id}/rebuild")
        again = client.post(f"/api/images/{building}/rebuild")
        unknown = client.post(f"/api/images/{building + 1000}/rebuild")
    disk.free()
    taken = client.post(f"/api/images/{image_id}/rebuild")

    problem = checked_problem(refused, 507, "insufficient-storage")
    assert problem["detail"] == (
        "the service is short of disk space: no build begins until there is room again"
    )
    assert refused.headers["retry-after"] == "60"
    # What room would not help with is told as ever.
    assert (again.status_code, unknown.status_code) == (409, 404)
    assert (taken.status_code, taken.json()["status"]) == (200, "building")


def test_what_needs_no_room_is_served_all_the_same(client: httpx.Client, disk: SmallDisk) -> None:
    image_id = upload(client)["id"]
    disk.fill(0)

    assert client.get(f"/api/images/{image_id}").status_code == 200
    assert client.delete(f"/api/images/{image_id}?wait=0").status_code == 202
    assert client.post("/api/images", content=good_body()).status_code == 415
