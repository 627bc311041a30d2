"""A rebuild from the stored context: what runs goes on, and the last good build stays in use."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import EngineRefused, EngineTransient, LeaseLost
from domain.container_status import Desired
from domain.errors import ImageRefuses
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.worker import Worker

TIMEOUT = 30.0


def image(worker: Worker, image_id: int) -> str:
    return str(worker.installation.row("images", image_id)["status"])


def told(worker: Worker, image_id: int) -> list[str]:
    types = worker.installation.told(f"image/{image_id}")
    return [type_.removeprefix("image.") for type_ in types]


def public_tag(worker: Worker, image_id: int) -> str | None:
    """The Docker image that the public tag leads to."""
    return worker.engine.snapshot().tags.get(f"nvidia-app-uuser-1-i{image_id}:latest")


def made_by(worker: Worker, build_id: int) -> str | None:
    """The Docker image that a build recorded."""
    digest: str | None = worker.installation.row("builds", build_id)["docker_image_id"]
    return digest


def builds_of(worker: Worker, image_id: int) -> list[int]:
    rows = worker.installation.rows(
        f"SELECT id FROM builds WHERE image_id = {image_id} ORDER BY id"
    )
    return [row["id"] for row in rows]


def test_a_rebuild_moves_the_public_tag_and_leaves_what_runs_on_its_build(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    (first,) = builds_of(worker, image_id)
    before = worker.docker.snapshot().containers

    second = worker.installation.rebuild(image_id)
    queued = (image(worker, image_id), public_tag(worker, image_id))
    worker.work()
    (later,) = worker.installation.create(image_id)
    worker.work()

    rows = [worker.installation.row("containers", id_) for id_ in (container_id, later)]
    assert queued == ("building", made_by(worker, first))
    assert image(worker, image_id) == "ready"
    assert public_tag(worker, image_id) == made_by(worker, second) != made_by(worker, first)
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
    assert public_tag(worker, image_id) == made_by(worker, first)
    assert [worker.status(id_) for id_ in (container_id, later)] == ["running", "running"]
    assert worker.installation.row("containers", later)["build_id"] == first


def test_an_image_whose_build_failed_is_ready_after_a_rebuild(worker: Worker) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    worker.engine.fail_next("build", EngineRefused("no route to the registry"))
    worker.work()

    worker.installation.rebuild(image_id)
    worker.work()

    row = worker.installation.row("images", image_id)
    assert (row["status"], row["status_reason"]) == ("ready", None)
    assert told(worker, image_id) == ["build_started", "build_failed", "build_started", "ready"]


def test_an_image_of_the_legacy_status_is_built_from_its_stored_context(worker: Worker) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
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


def test_a_rebuilt_image_that_is_deleted_leaves_no_tag_of_any_build(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    worker.work()
    tags = worker.engine.snapshot().tags

    worker.installation.delete_image(image_id)
    worker.work()

    assert len(tags) == 3
    assert worker.engine.snapshot().tags == {}


def test_deleting_the_image_ends_its_rebuild(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    lease, held = worker.claim_build(), worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(TIMEOUT)
        worker.installation.delete_image(image_id)
        worker.engine.interrupt_build(lease.id)
        running.result(TIMEOUT)
    worker.work()

    assert image(worker, image_id) == "deleted"
    assert told(worker, image_id)[2:] == ["build_started", "build_cancelled", "deleted"]
    assert worker.engine.snapshot().tags == {}


def test_a_rebuild_waits_until_the_tag_of_the_build_before_is_settled(worker: Worker) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    tagging = worker.engine.hold_next("tag")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert tagging.reached.wait(TIMEOUT)
        second = worker.installation.rebuild(image_id)
        claimed_meanwhile = worker.builds.claim(worker.engine_id, 10)
        tagging.let_go.set()
        first.result(TIMEOUT)
    worker.work()

    assert claimed_meanwhile == []
    assert public_tag(worker, image_id) == made_by(worker, second)


def test_a_worker_that_was_paused_before_its_tag_does_not_have_the_last_word(
    worker: Worker,
) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    tagging = worker.engine.hold_next("tag")

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert tagging.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        other.work()
        second = worker.installation.rebuild(image_id)
        other.work()
        meanwhile = public_tag(worker, image_id)
        tagging.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)
    late = public_tag(worker, image_id)
    other.work()

    assert meanwhile == made_by(worker, second) != late
    assert public_tag(worker, image_id) == made_by(worker, second)
    assert worker.installation.row("builds", second)["public_tag_set"]


def test_a_late_tag_while_the_right_one_is_being_set_does_not_have_the_last_word(
    worker: Worker,
) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    late_tag = worker.engine.hold_next("tag")

    with ThreadPoolExecutor(2) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert late_tag.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        other.work()
        second = worker.installation.rebuild(image_id)
        right_tag = other.engine.hold_next("tag", after=True)
        current = pool.submit(other.builds.act, other.claim_build(), other.engine_id)
        assert right_tag.reached.wait(TIMEOUT)
        late_tag.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)
        right_tag.let_go.set()
        with pytest.raises(LeaseLost):
            current.result(TIMEOUT)
    other.work()

    assert public_tag(worker, image_id) == made_by(worker, second)


def test_a_tag_that_a_paused_worker_sets_after_the_removal_is_removed_again(
    worker: Worker,
) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    tagging = worker.engine.hold_next("tag", after=True)

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert tagging.reached.wait(TIMEOUT)
        docker_image_id = public_tag(worker, image_id)
        worker.installation.expire_leases()
        worker.installation.delete_image(image_id)
        other.work()
        assert docker_image_id is not None
        worker.docker.add_image(App(), f"nvidia-app-uuser-1-i{image_id}:latest")
        tagging.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)

    assert image(worker, image_id) == "deleted"
    assert worker.engine.snapshot().tags == {}


def test_a_tag_that_is_never_set_does_not_keep_the_rebuild_that_mends_it(worker: Worker) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()
    worker.engine.fail_next("tag", EngineTransient("not yet"))
    worker.work()

    second = worker.installation.rebuild(image_id)
    worker.work()
    worker.come_due()
    worker.work()

    assert public_tag(worker, image_id) == made_by(worker, second)
    assert [
        worker.installation.row("builds", id_)["next_attempt_at"]
        for id_ in builds_of(worker, image_id)
    ] == [None, None]


def test_an_image_is_not_rebuilt_while_it_builds_or_goes(worker: Worker) -> None:
    worker.docker.app_of_builds = App()
    image_id = worker.installation.upload()

    with pytest.raises(ImageRefuses):
        worker.installation.rebuild(image_id)
    worker.work()
    worker.installation.delete_image(image_id)
    with pytest.raises(ImageRefuses):
        worker.installation.rebuild(image_id)

    assert len(builds_of(worker, image_id)) == 1
