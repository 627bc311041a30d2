"""A volume that stumbles, or is not mounted, ends no build and costs it no attempt."""

import errno
import shutil
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from application.record_build import MAX_ATTEMPTS
from tests.integration.worker.images import build, image, image_and_reason, told, uploaded
from tests.integration.worker.worker import Worker

WAITS = "the build waits for the volume that its context is on"


def test_a_context_that_cannot_be_read_for_a_while_is_built_at_the_first_attempt(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(worker)

    def stale(*_: object) -> Path:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as stumbling:
        stumbling.setattr(VolumeContextStore, "path", stale)
        for _ in range(MAX_ATTEMPTS):
            worker.work()
            worker.come_due()
    waiting = worker.installation.row("images", image_id)
    attempts = build(worker, image_id)
    worker.work()

    assert (waiting["status"], waiting["status_reason"]) == ("building", WAITS)
    assert attempts == ("running", 0)
    assert (image(worker, image_id), build(worker, image_id)) == ("ready", ("succeeded", 1))
    assert worker.installation.row("images", image_id)["status_reason"] is None
    assert told(worker, image_id) == ["build_started", "ready"]


@pytest.mark.parametrize("marked", [False, True])
def test_a_volume_that_is_not_mounted_is_waited_for_and_no_upload_is_asked_for(
    worker: Worker, tmp_path: Path, *, marked: bool
) -> None:
    image_id = uploaded(worker)
    volume = worker.installation.store.path("")
    mark = (volume / ".installation").read_text()
    volume.rename(tmp_path / "unmounted")
    volume.mkdir()
    if marked:
        # By a worker that found no image recorded yet when it started.
        (volume / ".installation").write_text(mark)
    worker.work()
    waiting = worker.installation.row("images", image_id)
    left = {path.name for path in volume.iterdir()}

    volume.rename(tmp_path / "local")
    (tmp_path / "unmounted").rename(volume)
    worker.come_due()
    worker.work()

    assert (waiting["status"], waiting["status_reason"]) == ("building", WAITS)
    assert left == ({".installation"} if marked else set())
    assert (image(worker, image_id), build(worker, image_id)) == ("ready", ("succeeded", 1))


def test_a_context_that_is_gone_though_others_are_there_is_not_waited_for(worker: Worker) -> None:
    image_id, other = uploaded(worker), uploaded(worker)
    shutil.rmtree(worker.installation.store.path(f"user-1/{image_id}"))

    worker.work()

    assert image_and_reason(worker, image_id) == (
        "build_failed",
        "the stored build context is gone: upload the image again",
    )
    assert image(worker, other) == "ready"


def test_a_build_that_waits_for_its_volume_can_be_cancelled(worker: Worker, tmp_path: Path) -> None:
    image_id = uploaded(worker)
    volume = worker.installation.store.path("")
    volume.rename(tmp_path / "unmounted")
    worker.work()

    worker.installation.delete_image(image_id)
    (tmp_path / "unmounted").rename(volume)
    worker.come_due()
    worker.work()

    assert build(worker, image_id) == ("cancelled", 0)
