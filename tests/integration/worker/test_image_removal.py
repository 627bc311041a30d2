"""The removal of an image: its tags, its files, its hostname, each when nothing needs it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import EngineTransient, LeaseLost
from domain.errors import HostnameTaken
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.images import image, told, uploaded
from tests.integration.worker.worker import Worker


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
