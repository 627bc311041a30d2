"""An image that is deleted while a build of it is queued or runs: the build ends with it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import EngineTransient
from tests.integration.worker.images import build, image, public_tag, told, uploaded
from tests.integration.worker.worker import Worker


def test_deleting_the_image_cancels_a_queued_build_at_once(worker: Worker) -> None:
    image_id = uploaded(worker)

    worker.installation.delete_image(image_id)
    cancelled = build(worker, image_id)
    worker.work()

    assert cancelled == ("cancelled", 0)
    assert told(worker, image_id) == ["build_started", "build_cancelled", "deleted"]
    assert "build" not in {call for call, _ in worker.engine.calls}


def test_deleting_the_image_between_claim_and_begin_ends_the_claim(worker: Worker) -> None:
    image_id = uploaded(worker)
    lease = worker.claim_build()
    worker.installation.delete_image(image_id)

    worker.builds.act(lease, worker.engine_id)
    worker.work()

    assert build(worker, image_id) == ("cancelled", 0)
    assert told(worker, image_id) == ["build_started", "build_cancelled", "deleted"]
    assert worker.work() == 0


@pytest.mark.parametrize("again", [False, True], ids=["first-build", "rebuild"])
def test_deleting_the_image_cancels_a_running_build_by_its_interruption(
    worker: Worker, *, again: bool
) -> None:
    image_id = worker.ready_image() if again else uploaded(worker)
    if again:
        worker.installation.rebuild(image_id)
    lease, held = worker.claim_build(), worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(30)
        worker.installation.delete_image(image_id)
        told_before = told(worker, image_id)
        worker.engine.interrupt_build(lease.id)
        running.result(30)
    worker.work()

    assert told_before[-1] == "build_started"
    assert worker.installation.row("builds", lease.id)["status"] == "cancelled"
    assert told(worker, image_id) == [*told_before, "build_cancelled", "deleted"]
    assert worker.engine.snapshot().tags == {}


def test_a_build_that_succeeds_while_its_image_is_deleted_sets_no_public_tag(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build", after=True)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(30)
        worker.installation.delete_image(image_id)
        held.let_go.set()
        running.result(30)

    assert public_tag(image_id) not in worker.engine.snapshot().tags
    assert image(worker, image_id) == "deleting"
    worker.work()
    assert told(worker, image_id) == ["build_started", "deleted"]
    assert worker.engine.snapshot().tags == {}


def test_a_deletion_does_not_wait_for_the_next_attempt_of_a_build(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineTransient("not now"))
    worker.builds.act(worker.claim_build(), worker.engine_id)

    worker.installation.delete_image(image_id)
    worker.work()

    assert build(worker, image_id)[0] == "cancelled"
    assert image(worker, image_id) == "deleted"


def test_a_rebuilt_image_that_is_deleted_leaves_no_tag_of_any_build(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    worker.work()
    tags = worker.engine.snapshot().tags

    worker.installation.delete_image(image_id)
    worker.work()

    assert len(tags) == 3
    assert worker.engine.snapshot().tags == {}
