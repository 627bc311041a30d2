"""The removal of an image: its tags, its files, its hostname, each when nothing needs it."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from application.errors import EngineTransient, LeaseLost, VolumeUnavailable
from domain.errors import HostnameTaken
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.images import image, image_and_reason, told, uploaded
from tests.integration.worker.worker import Worker

WAITS = "the removal waits for the volume that its files are on"


def test_a_removed_image_leaves_neither_tags_nor_files_nor_its_hostname(worker: Worker) -> None:
    image_id = worker.ready_image()
    folder = worker.installation.store.path(f"user-1/{image_id}")
    existed = folder.exists()

    worker.installation.delete_image(image_id)
    worker.work()

    assert (existed, folder.exists()) == (True, False)
    assert worker.engine.snapshot().tags == {}
    assert image(worker, image_id) == "deleted"
    assert worker.installation.rows("SELECT * FROM hostnames") == []
    assert told(worker, image_id) == ["build_started", "ready", "deleted"]
    worker.installation.upload("user-2")


def test_a_hostname_is_held_until_the_last_image_of_its_user_is_gone(worker: Worker) -> None:
    first, second = worker.ready_image(), worker.ready_image()

    worker.installation.delete_image(first)
    worker.work()
    with pytest.raises(HostnameTaken):
        worker.installation.upload("user-2")
    worker.installation.delete_image(second)
    with pytest.raises(HostnameTaken):
        worker.installation.upload("user-2")
    worker.work()

    worker.installation.upload("user-2")


def test_a_removal_that_docker_cuts_short_keeps_the_files_and_is_tried_again(
    worker: Worker,
) -> None:
    image_id = worker.ready_image()
    folder = worker.installation.store.path(f"user-1/{image_id}")
    worker.installation.delete_image(image_id)
    worker.engine.fail_next("remove_tag", EngineTransient("try later"))

    worker.work()
    kept = (image(worker, image_id), folder.exists())
    shown = worker.installation.reader.image("user-1", image_id)
    worker.come_due()
    worker.work()

    assert kept == ("deleting", True)
    assert (shown.status, shown.status_reason) == ("deleting", "try later")
    assert (image(worker, image_id), folder.exists()) == ("deleted", False)


def test_failed_containers_are_removed_before_their_image(worker: Worker) -> None:
    image_id = worker.ready_image(App(exits_with=1))
    (container_id,) = worker.installation.create(image_id)
    worker.work()

    worker.installation.delete_image(image_id)
    worker.work()

    assert (worker.status(container_id), image(worker, image_id)) == ("deleted", "deleted")
    order = worker.installation.rows("SELECT stream FROM events ORDER BY id DESC LIMIT 2")
    assert [row["stream"] for row in order] == [f"image/{image_id}", f"container/{container_id}"]


def test_an_overtaken_removal_records_nothing(worker: Worker) -> None:
    image_id = worker.ready_image()
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    worker.installation.delete_image(image_id)
    (lease,) = worker.removals.claim(worker.engine_id, 1)
    worker.installation.expire_leases()
    other.work()

    with pytest.raises(LeaseLost):
        worker.removals.act(lease)

    assert told(worker, image_id) == ["build_started", "ready", "deleted"]


def test_an_image_is_not_removed_before_the_tag_of_its_build_is_settled(worker: Worker) -> None:
    image_id = uploaded(worker)
    tagging = worker.engine.hold_next("tag")
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        tagging.reached.wait(timeout=10)
        worker.installation.delete_image(image_id)
        claimed_meanwhile = worker.removals.claim(worker.engine_id, 1)
        tagging.let_go.set()
        building.result(timeout=10)
    worker.work()

    assert claimed_meanwhile == []
    assert image(worker, image_id) == "deleted"
    assert worker.engine.snapshot().tags == {}


def test_an_image_is_not_told_as_removed_by_the_word_of_another_engine(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)
    tags = worker.engine.snapshot().tags
    (lease,) = worker.removals.claim(worker.engine_id, 1)

    worker.engine.another_engine()
    worker.removals.act(lease)

    assert tags != {}
    assert image(worker, image_id) == "deleting"


@pytest.mark.parametrize("marked", [True, False])
def test_a_removal_touches_nothing_on_a_volume_that_was_mounted_in_place_of_its_own(
    worker: Worker, tmp_path: Path, *, marked: bool
) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)
    volume = worker.installation.store.path("")
    volume.rename(tmp_path / "unmounted")
    theirs = volume / "user-1" / str(image_id) / "context" / "Dockerfile"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    if marked:
        (volume / ".installation").write_text("another\n")
    worker.work()
    waiting, untouched = image_and_reason(worker, image_id), theirs.exists()
    noted = [type(each) for each in worker.setbacks]

    volume.rename(tmp_path / "theirs")
    (tmp_path / "unmounted").rename(volume)
    worker.come_due()
    worker.work()

    assert (waiting, untouched) == (("deleting", WAITS), True)
    assert noted == [VolumeUnavailable]
    assert image(worker, image_id) == "deleted"
    assert not (volume / "user-1" / str(image_id)).exists()


def test_files_that_cannot_be_removed_for_a_while_are_told_and_tried_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)

    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as stumbling:
        stumbling.setattr(VolumeContextStore, "remove", stale)
        worker.work()
    waiting = image_and_reason(worker, image_id)
    worker.come_due()
    worker.work()

    assert waiting == ("deleting", WAITS)
    assert image(worker, image_id) == "deleted"
