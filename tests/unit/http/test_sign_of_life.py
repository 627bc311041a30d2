"""An upload that waits for its turn, or for its client, does not look left behind."""

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from adapters.volume.context_store import VolumeContextStore
from adapters.volume.disk_space import VolumeDiskSpace
from adapters.volume.stored_files import VolumeStoredFiles
from application.leftovers import Upload
from application.upload_image import UploadImage
from entrypoints.http import images
from entrypoints.http.images import ImageEndpoints
from tests.integration.http.uploads import CONTENT_TYPE, body, fields

LONG_AGO = 1_000_000
MIB = 1024 * 1024
TIMEOUT = 10.0


def test_an_archive_is_kept_fresh_for_as_long_as_its_upload_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    archive.touch()
    utime = os.utime
    utime(archive, (LONG_AGO, LONG_AGO))
    monkeypatch.setattr(images, "SIGN_OF_LIFE_SECONDS", 0.01)

    async def upload() -> None:
        loop, touched = asyncio.get_running_loop(), asyncio.Event()

        def tell(path: Path) -> None:
            utime(path)
            loop.call_soon_threadsafe(touched.set)

        monkeypatch.setattr(os, "utime", tell)
        alive = asyncio.create_task(images._show_life(archive))
        await asyncio.wait_for(touched.wait(), 10)
        alive.cancel()
        await asyncio.wait([alive])

    asyncio.run(upload())

    assert archive.stat().st_mtime > LONG_AGO


class Uploads:
    """What an upload becomes once it is received whole."""

    def __init__(self) -> None:
        self.file_bytes: int | None = None

    def handle(self, command: UploadImage) -> int:
        self.file_bytes = command.archive.stat().st_size
        raise Received


class Received(Exception):  # noqa: N818 - named by what happened
    """The end of what is of interest here."""


def test_an_upload_whose_client_sends_nothing_for_a_while_looks_alive_between_two_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "SIGN_OF_LIFE_SECONDS", 0.01)
    store = VolumeContextStore(tmp_path)
    store.prepare()
    files, uploads = VolumeStoredFiles(tmp_path), Uploads()
    # Neither reader nor waiter nor the other use cases are asked for anything.
    unused = cast(Any, None)
    endpoints = ImageEndpoints(
        cast(Any, SimpleNamespace(user_id=lambda _: "ada")),
        unused,
        cast(Any, uploads),
        unused,
        unused,
        unused,
        store,
        VolumeDiskSpace(tmp_path, minimum_bytes=0),
        max_upload_bytes=8 * MIB,
    )
    # More than is gathered before a write, and then less.
    archive = b"x" * (2 * MIB)
    whole = body(fields(), [archive])
    ages: list[float] = []

    async def receive() -> dict[str, Any]:
        upload = next((each for each in files.found() if isinstance(each, Upload)), None)
        if upload is None:
            return {"type": "http.request", "body": whole[: MIB + MIB // 2], "more_body": True}
        path = tmp_path / ".incoming" / upload.name
        written = path.stat().st_size
        os.utime(path, (LONG_AGO, LONG_AGO))
        deadline = time.monotonic() + TIMEOUT
        while path.stat().st_mtime <= LONG_AGO:
            assert time.monotonic() < deadline, "nothing shows that the upload goes on"
            await asyncio.sleep(0.01)
        state = files.state(upload)
        assert state is not None
        ages.append(time.time() - state.changed_at.timestamp())
        assert path.stat().st_size == written
        return {"type": "http.request", "body": whole[MIB + MIB // 2 :], "more_body": False}

    request = Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/api/images",
            "headers": [(b"content-type", CONTENT_TYPE.encode())],
            "state": {"request_id": "request"},
        },
        receive,
    )

    with pytest.raises(Received):
        asyncio.run(endpoints._create(request))

    assert len(ages) == 1
    assert ages[0] < TIMEOUT
    assert uploads.file_bytes == len(archive)
