"""A build that meets a full disk: ours, which it waits for, or the one of the engine."""

from concurrent.futures import ThreadPoolExecutor

from application.errors import EngineExhausted
from application.record_build import MAX_ATTEMPTS
from tests.integration.worker.images import build, image, told, uploaded
from tests.integration.worker.worker import Worker


def test_a_build_waits_for_disk_space_without_an_attempt_and_says_so(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.space.short = "less than 1 byte is free"

    for _ in range(MAX_ATTEMPTS + 1):
        worker.work()
        worker.come_due()
    waiting = worker.installation.row("images", image_id)
    (row,) = worker.installation.rows("SELECT * FROM builds")

    assert (waiting["status"], waiting["status_reason"]) == (
        "building",
        "the build waits for disk space: less than 1 byte is free",
    )
    assert (row["status"], row["attempt"], row["attempts"]) == ("queued", 0, 0)
    assert row["next_attempt_at"] is not None
    assert "build" not in {call for call, _ in worker.engine.calls}


def test_a_build_that_waited_for_disk_space_begins_when_there_is_room(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.space.short = "less than 1 byte is free"
    worker.work()

    worker.space.short = None
    worker.come_due()
    held = worker.engine.hold_next("build")
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(worker.work)
        assert held.reached.wait(30)
        reason = worker.installation.row("images", image_id)["status_reason"]
        held.let_go.set()
        building.result(30)

    assert reason is None
    assert (image(worker, image_id), build(worker, image_id)) == ("ready", ("succeeded", 1))


def test_a_build_that_waits_for_disk_space_can_be_cancelled(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.space.short = "less than 1 byte is free"
    worker.work()

    worker.installation.delete_image(image_id)
    worker.work()

    assert build(worker, image_id) == ("cancelled", 0)
    assert worker.installation.row("images", image_id)["status_reason"] is None


def test_an_engine_without_room_ends_a_build_after_its_attempts_with_the_reason(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    for _ in range(MAX_ATTEMPTS):
        worker.engine.fail_next("build", EngineExhausted("no space left on device"))
        worker.work()
        worker.come_due()
    worker.work()

    assert build(worker, image_id) == ("failed", MAX_ATTEMPTS)
    assert worker.installation.row("images", image_id)["status_reason"] == (
        "given up after 3 attempts that did not end: no space left on device"
    )
    assert told(worker, image_id) == ["build_started", "build_failed"]
