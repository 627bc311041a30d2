"""A rebuild from the stored context: what runs goes on, and the last good build stays in use."""

import shutil

import pytest

from application.errors import EngineRefused
from domain.container_status import Desired
from domain.errors import ImageRefuses
from tests.integration.worker.images import (
    builds_of,
    image,
    made_by,
    publicly_tagged,
    told,
    uploaded,
)
from tests.integration.worker.worker import Worker


def test_a_rebuild_moves_the_public_tag_and_leaves_what_runs_on_its_build(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    (first,) = builds_of(worker, image_id)
    before = worker.docker.snapshot().containers

    second = worker.installation.rebuild(image_id)
    queued = (image(worker, image_id), publicly_tagged(worker, image_id))
    worker.work()
    (later,) = worker.installation.create(image_id)
    worker.work()

    rows = [worker.installation.row("containers", id_) for id_ in (container_id, later)]
    assert queued == ("building", made_by(worker, first))
    assert image(worker, image_id) == "ready"
    assert publicly_tagged(worker, image_id) == made_by(worker, second) != made_by(worker, first)
    assert [(row["status"], row["build_id"]) for row in rows] == [
        ("running", first),
        ("running", second),
    ]
    assert before.items() <= worker.docker.snapshot().containers.items()
    assert told(worker, image_id) == ["build_started", "ready", "build_started", "ready"]


def test_a_container_may_be_created_from_the_last_good_build_while_the_next_one_is_made(
    worker: Worker,
) -> None:
    image_id = worker.ready_image()
    (first,) = builds_of(worker, image_id)
    worker.installation.rebuild(image_id)

    (container_id,) = worker.installation.create(image_id)

    assert worker.installation.row("containers", container_id)["build_id"] == first


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_rebuild_that_does_not_succeed_leaves_everything_in_use(worker: Worker, end: str) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    (first,) = builds_of(worker, image_id)
    second = worker.installation.rebuild(image_id)
    worker.engine.fail_next("build", EngineRefused("step 3 failed"))

    if end == "cancelled":
        worker.installation.cancel(image_id)
    worker.work()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    worker.installation.wish(container_id, Desired.RUNNING)
    worker.work()
    (later,) = worker.installation.create(image_id)
    worker.work()

    row = worker.installation.row("images", image_id)
    assert (row["status"], row["active_build_id"]) == (f"build_{end}", first)
    assert worker.installation.row("builds", second)["status"] == end
    assert publicly_tagged(worker, image_id) == made_by(worker, first)
    assert [worker.status(id_) for id_ in (container_id, later)] == ["running", "running"]
    assert worker.installation.row("containers", later)["build_id"] == first


def test_an_image_whose_build_failed_is_ready_after_a_rebuild(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineRefused("no route to the registry"))
    worker.work()

    worker.installation.rebuild(image_id)
    worker.work()

    row = worker.installation.row("images", image_id)
    assert (row["status"], row["status_reason"]) == ("ready", None)
    assert told(worker, image_id) == ["build_started", "build_failed", "build_started", "ready"]


def test_an_image_of_the_legacy_status_is_built_from_its_stored_context(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.installation.cancel(image_id)
    worker.installation.execute(f"UPDATE images SET status = 'registered' WHERE id = {image_id}")

    worker.installation.rebuild(image_id)
    worker.work()

    assert image(worker, image_id) == "ready"


def test_a_rebuild_whose_stored_context_is_gone_fails_and_says_so(worker: Worker) -> None:
    image_id = worker.ready_image()
    source_path = worker.installation.row("images", image_id)["source_path"]
    shutil.rmtree(worker.installation.store.path(source_path))

    worker.installation.rebuild(image_id)
    worker.work()

    row = worker.installation.row("images", image_id)
    assert (row["status"], row["status_reason"]) == (
        "build_failed",
        "the stored build context is gone: upload the image again",
    )
    assert [call for call, _ in worker.engine.calls].count("build") == 1


def test_each_build_keeps_its_own_log(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    worker.work()

    paths = [
        worker.installation.row("builds", id_)["log_path"] for id_ in builds_of(worker, image_id)
    ]

    assert len(set(paths)) == 2
    assert all(worker.installation.store.path(path).read_text() == "built\n" for path in paths)


def test_an_image_is_not_rebuilt_while_it_builds_or_goes(worker: Worker) -> None:
    image_id = uploaded(worker)

    with pytest.raises(ImageRefuses):
        worker.installation.rebuild(image_id)
    worker.work()
    worker.installation.delete_image(image_id)
    with pytest.raises(ImageRefuses):
        worker.installation.rebuild(image_id)

    assert len(builds_of(worker, image_id)) == 1
