"""A build to its one outcome, whatever its workers go through; and an image to its removal."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import (
    BuildInterrupted,
    EngineExhausted,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    LeaseLost,
)
from application.run_build import MAX_ATTEMPTS
from domain.container_status import Desired
from domain.errors import HostnameTaken
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.worker import Worker


def uploaded(worker: Worker) -> int:
    worker.docker.app_of_builds = App()
    return worker.installation.upload()


def image(worker: Worker, image_id: int) -> str:
    return str(worker.installation.row("images", image_id)["status"])


def build(worker: Worker, image_id: int) -> tuple[str, int]:
    """The status and the attempts of an image's build."""
    (row,) = worker.installation.rows(f"SELECT * FROM builds WHERE image_id = {image_id}")
    return row["status"], row["attempt"]


def told(worker: Worker, image_id: int) -> list[str]:
    types = worker.installation.told(f"image/{image_id}")
    return [type_.removeprefix("image.") for type_ in types]


def public_tag(image_id: int) -> str:
    return f"nvidia-app-uuser-1-i{image_id}:latest"


def test_a_build_that_succeeds_makes_the_image_ready_and_sets_both_tags(worker: Worker) -> None:
    image_id = uploaded(worker)

    worker.work()

    (row,) = worker.installation.rows("SELECT * FROM builds")
    tags = worker.engine.snapshot().tags
    assert (image(worker, image_id), build(worker, image_id)) == ("ready", ("succeeded", 1))
    assert set(tags) == {public_tag(image_id), f"nvidia-app-uuser-1-i{image_id}:b{row['id']}"}
    assert set(tags.values()) == {row["docker_image_id"]}
    assert (row["log_tail"], row["public_tag_set"]) == ("built\n", True)
    assert told(worker, image_id) == ["build_started", "ready"]
    assert worker.work() == 0


def test_a_build_that_fails_is_told_with_its_reason_and_tags_nothing(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineRefused("step 3 failed"))

    worker.work()

    assert build(worker, image_id) == ("failed", 1)
    assert worker.installation.row("images", image_id)["status_reason"] == "step 3 failed"
    assert worker.engine.snapshot().tags == {}
    assert told(worker, image_id) == ["build_started", "build_failed"]
    assert worker.work() == 0


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


def test_deleting_the_image_cancels_a_running_build_by_its_interruption(worker: Worker) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(30)
        worker.installation.delete_image(image_id)
        told_before = told(worker, image_id)
        worker.engine.interrupt_build(lease.id)
        running.result(30)

    worker.work()
    assert told_before == ["build_started"]
    assert build(worker, image_id)[0] == "cancelled"
    assert told(worker, image_id) == ["build_started", "build_cancelled", "deleted"]
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


@pytest.mark.parametrize(
    "error", [BuildInterrupted("this worker ends"), EngineUnreachable("nobody answers")]
)
def test_a_build_that_is_handed_back_costs_no_attempt(
    worker: Worker, error: BuildInterrupted | EngineUnreachable
) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", error)

    worker.builds.act(worker.claim_build(), worker.engine_id)
    handed_back = build(worker, image_id)
    worker.come_due()
    worker.work()

    assert handed_back == ("running", 0)
    assert build(worker, image_id) == ("succeeded", 1)
    assert told(worker, image_id) == ["build_started", "ready"]


def test_a_build_whose_worker_died_is_taken_over_as_another_attempt(worker: Worker) -> None:
    image_id = uploaded(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    lease, held = worker.claim_build(), worker.engine.hold_next("build", after=True)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(30)
        worker.installation.expire_leases()
        other.work()
        current = worker.engine.snapshot().tags[public_tag(image_id)]
        held.let_go.set()
        with pytest.raises(LeaseLost):
            late.result(30)

    (row,) = worker.installation.rows("SELECT * FROM builds")
    assert build(worker, image_id) == ("succeeded", 2)
    assert worker.engine.snapshot().tags[public_tag(image_id)] == current == row["docker_image_id"]
    assert told(worker, image_id) == ["build_started", "ready"]


def test_a_build_that_never_ends_is_given_up_after_three_attempts(worker: Worker) -> None:
    image_id = uploaded(worker)
    for _ in range(MAX_ATTEMPTS):
        worker.engine.fail_next("build", EngineTransient("the engine ended"))
        worker.builds.act(worker.claim_build(), worker.engine_id)
        worker.come_due()

    worker.work()

    assert build(worker, image_id) == ("failed", MAX_ATTEMPTS)
    assert worker.installation.row("images", image_id)["status_reason"] == (
        "given up after 3 attempts that did not end: the engine ended"
    )
    assert told(worker, image_id) == ["build_started", "build_failed"]


def test_a_public_tag_that_was_not_set_is_set_later_without_another_build(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("tag", EngineTransient("try later"))

    worker.work()
    before = public_tag(image_id) in worker.engine.snapshot().tags
    worker.come_due()
    worker.work()

    assert (before, image(worker, image_id)) == (False, "ready")
    assert public_tag(image_id) in worker.engine.snapshot().tags
    assert [call for call, _ in worker.engine.calls].count("build") == 1
    assert told(worker, image_id) == ["build_started", "ready"]


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
    worker.come_due()
    worker.work()

    assert kept == ("deleting", True)
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


def test_a_container_keeps_running_from_its_build_when_its_tag_is_gone(worker: Worker) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    worker.docker.remove_tag(public_tag(image_id))

    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    (second,) = worker.installation.create(image_id)
    worker.work()

    assert worker.status(second) == "running"


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


def test_a_cancel_does_not_wait_for_the_next_attempt(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineTransient("not now"))
    worker.builds.act(worker.claim_build(), worker.engine_id)

    worker.installation.delete_image(image_id)
    worker.work()

    assert build(worker, image_id)[0] == "cancelled"
    assert image(worker, image_id) == "deleted"


def test_a_refused_public_tag_is_set_by_the_next_attempt(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("tag", EngineRefused("not that one"))

    worker.work()
    first = public_tag(image_id) in worker.engine.snapshot().tags
    worker.come_due()
    worker.work()

    assert (first, image(worker, image_id)) == (False, "ready")
    assert public_tag(image_id) in worker.engine.snapshot().tags


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


def test_what_an_attempt_met_with_is_forgotten_once_another_one_succeeds(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineExhausted("no space left on device"))

    worker.work()
    worker.come_due()
    worker.work()

    (row,) = worker.installation.rows("SELECT status_reason FROM builds")
    assert (image(worker, image_id), row["status_reason"]) == ("ready", None)
