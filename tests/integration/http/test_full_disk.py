"""A disk that is full while an upload comes: a clear 507, nothing left, and it passes."""

import gzip
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.http.edge import checked_problem, upload
from tests.integration.http.footprint import World
from tests.integration.http.uploads import CONTENT_TYPE, DOCKERFILE, body, fields, file, tar
from tests.integration.small_disk import SmallDisk

MIB = 1024 * 1024
KIB = 1024


@pytest.fixture(scope="module")
def volume(mounted_disk: SmallDisk) -> Path:
    return mounted_disk.path


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    return {"MIN_FREE_DISK_BYTES": "0"}


def _while_it_is_received(disk: SmallDisk) -> bytes:
    disk.fill(256 * KIB)
    return tar(file("Dockerfile", DOCKERFILE), file("data", b"x" * MIB))


def _while_it_is_extracted(disk: SmallDisk) -> bytes:
    disk.fill(256 * KIB)
    return gzip.compress(tar(file("Dockerfile", DOCKERFILE), file("data", b"x" * MIB)))


def _with_many_small_files(disk: SmallDisk) -> bytes:
    names = [file(f"data/{number}", b"x") for number in range(1000)]
    return gzip.compress(tar(file("Dockerfile", DOCKERFILE), *names))


def _without_a_name_left(disk: SmallDisk) -> bytes:
    disk.fill_names()
    return tar(file("Dockerfile", DOCKERFILE))


@pytest.mark.parametrize(
    "filled",
    [
        _while_it_is_received,
        _while_it_is_extracted,
        _with_many_small_files,
        _without_a_name_left,
    ],
)
def test_an_upload_that_meets_a_full_disk_is_507_and_leaves_nothing(
    client: httpx.Client, disk: SmallDisk, world: World, filled: Callable[[SmallDisk], bytes]
) -> None:
    archive = filled(disk)

    with world.left_alone():
        response = client.post(
            "/api/images",
            content=body(fields(), [archive]),
            headers={"Content-Type": CONTENT_TYPE},
        )

    problem = checked_problem(response, 507, "insufficient-storage")
    assert problem["detail"] == "the disk is full: nothing of the upload was kept"
    assert response.headers["retry-after"] == "60"
    disk.free()
    assert upload(client)["status"] == "building"
