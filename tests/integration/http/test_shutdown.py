"""SIGTERM with work in flight: answered or dropped, cleared up, and over in under 5 s."""

import bz2
import random
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import api_settings, caller, upload
from tests.integration.http.footprint import World
from tests.integration.http.raw_requests import RawRequest, wait_until
from tests.integration.http.uploads import CONTENT_TYPE, DOCKERFILE, body, fields, file, tar

LIMIT_SECONDS = 5.0
MIB = 1024 * 1024


@pytest.fixture
def process(database: str, tmp_path: Path) -> ServiceProcess:
    return ServiceProcess("api", api_settings(database, tmp_path / "volume"), tmp_path / "log")


@pytest.fixture
def world(database: str, tmp_path: Path) -> World:
    return World(database, tmp_path / "volume")


def test_requests_that_wait_are_answered_202_and_their_wishes_stand(
    process: ServiceProcess, database: str
) -> None:
    with (
        process,
        caller(process.url) as client,
        ThreadPoolExecutor() as background,
        Backstage(database) as backstage,
    ):
        image_id = upload(client)["id"]
        backstage.build(image_id)
        answer = background.submit(client.post, f"/api/containers/{image_id}?wait=30")
        listed = f"/api/images/{image_id}/containers"
        wait_until(lambda: client.get(listed).json(), "the wish is recorded")

        took = _seconds_to_stop(process)

        response = answer.result(20)
        assert (response.status_code, response.json()[0]["status"]) == (202, "creating")
        assert took < LIMIT_SECONDS
        backstage.work_off(image_id)


def test_an_upload_that_is_being_received_is_dropped_without_a_trace(
    process: ServiceProcess, world: World
) -> None:
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(5 * MIB)}
    with process:
        before = world.footprint()
        with RawRequest(process.url, "POST /api/images", headers) as request:
            request.send(body(fields(), [bytes(2 * MIB)])[: 2 * MIB])
            wait_until(world.incoming_files, "the file is being written")

            took = _seconds_to_stop(process)

    assert took < LIMIT_SECONDS
    assert world.footprint() == before


def test_an_upload_that_is_being_extracted_is_dropped_without_a_trace(
    process: ServiceProcess, world: World
) -> None:
    content = body(fields(), [_slow_archive()])
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(content))}
    with process:
        before = world.footprint()
        with RawRequest(process.url, "POST /api/images", headers) as request:
            request.send(content)
            wait_until(lambda: len(world.incoming_files()) == 2, "the archive is being extracted")

            took = _seconds_to_stop(process)

    assert took < LIMIT_SECONDS
    assert world.footprint() == before


def _slow_archive() -> bytes:
    """Half a GiB behind bzip2, which takes far longer than a process has to end."""
    info = tarfile.TarInfo("large")
    info.size = 512 * MIB
    # A file of bzip2 may be many, one after the other: this block is compressed only once.
    block = bz2.compress(bytes(random.Random(1).choices(b"ab", k=MIB)))
    return bz2.compress(tar(file("Dockerfile", DOCKERFILE))[:1024] + info.tobuf()) + block * 512


def _seconds_to_stop(process: ServiceProcess) -> float:
    started = time.monotonic()
    process.stop()
    return time.monotonic() - started
