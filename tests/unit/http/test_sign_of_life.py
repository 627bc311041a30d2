"""An upload that waits for its turn does not look left behind."""

import asyncio
import os
from pathlib import Path

import pytest

from entrypoints.http import images

LONG_AGO = 1_000_000


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
