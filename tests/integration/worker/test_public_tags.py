"""The public tag leads to the last good build, whoever else sets it late or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import EngineRefused, EngineTransient, LeaseLost
from domain.container_status import Desired
from tests.contracts.fake_docker import App, ImageLabels
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.images import (
    builds_of,
    image,
    made_by,
    public_tag,
    publicly_tagged,
    told,
    uploaded,
)
from tests.integration.worker.worker import Worker

TIMEOUT = 30.0


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


def test_a_container_keeps_running_from_its_build_when_its_tag_is_gone(worker: Worker) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    worker.docker.remove_tag(public_tag(image_id))

    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    (second,) = worker.installation.create(image_id)
    worker.work()

    assert worker.status(second) == "running"


def test_a_refused_public_tag_is_set_by_the_next_attempt(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("tag", EngineRefused("not that one"))

    worker.work()
    first = public_tag(image_id) in worker.engine.snapshot().tags
    worker.come_due()
    worker.work()

    assert (first, image(worker, image_id)) == (False, "ready")
    assert public_tag(image_id) in worker.engine.snapshot().tags


def test_a_rebuild_waits_until_the_tag_of_the_build_before_is_settled(worker: Worker) -> None:
    image_id = uploaded(worker)
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
    assert publicly_tagged(worker, image_id) == made_by(worker, second)


def test_a_worker_that_was_paused_before_its_tag_does_not_have_the_last_word(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    tagging = worker.engine.hold_next("tag")

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert tagging.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        other.work()
        second = worker.installation.rebuild(image_id)
        other.work()
        meanwhile = publicly_tagged(worker, image_id)
        tagging.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)
    late = publicly_tagged(worker, image_id)
    other.work()

    assert meanwhile == made_by(worker, second) != late
    assert publicly_tagged(worker, image_id) == made_by(worker, second)
    assert worker.installation.row("builds", second)["public_tag_set"]


def test_a_late_tag_while_the_right_one_is_being_set_does_not_have_the_last_word(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
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

    assert publicly_tagged(worker, image_id) == made_by(worker, second)


def test_a_tag_that_a_paused_worker_sets_after_the_removal_is_removed_again(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    tagging = worker.engine.hold_next("tag", after=True)

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert tagging.reached.wait(TIMEOUT)
        docker_image_id = publicly_tagged(worker, image_id)
        worker.installation.expire_leases()
        worker.installation.delete_image(image_id)
        other.work()
        assert docker_image_id is not None
        labels = ImageLabels("test", image_id, 1)
        worker.docker.add_image(App(), public_tag(image_id), labels=labels)
        tagging.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)

    assert image(worker, image_id) == "deleted"
    assert worker.engine.snapshot().tags == {}


def test_a_tag_that_is_never_set_does_not_keep_the_rebuild_that_mends_it(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("tag", EngineTransient("not yet"))
    worker.work()

    second = worker.installation.rebuild(image_id)
    worker.work()
    worker.come_due()
    worker.work()

    assert publicly_tagged(worker, image_id) == made_by(worker, second)
    assert [
        worker.installation.row("builds", id_)["next_attempt_at"]
        for id_ in builds_of(worker, image_id)
    ] == [None, None]


@pytest.mark.parametrize("deleted", [False, True])
def test_the_late_result_of_a_build_does_not_keep_the_tag_of_what_is_recorded(
    worker: Worker, *, deleted: bool
) -> None:
    image_id = uploaded(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    building = worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, worker.claim_build(), worker.engine_id)
        assert building.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        other.work()
        if deleted:
            worker.installation.delete_image(image_id)
            other.work()
        tags = worker.engine.snapshot().tags
        building.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)

    assert len(tags) == (0 if deleted else 2)
    assert worker.engine.snapshot().tags == tags
