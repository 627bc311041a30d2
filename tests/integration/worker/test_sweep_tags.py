"""A tag that a late worker moved, and did not live to make good, is set back by the next sweep."""

from collections.abc import Callable

import pytest

from application.errors import EngineTransient, EngineUnreachable
from tests.contracts.fake_docker import App
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.images import builds_of, made_by, public_tag, publicly_tagged
from tests.integration.worker.sweeper import Sweeper, labelled
from tests.integration.worker.worker import Worker


def build_tag(image_id: int, build_id: int) -> str:
    return f"nvidia-app-uuser-1-i{image_id}:b{build_id}"


def rebuilt(worker: Worker) -> tuple[int, int, int]:
    """An image with two good builds; returns its id and theirs."""
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    worker.work()
    first, second = builds_of(worker, image_id)
    return image_id, first, second


def late_public_tag(worker: Worker) -> str:
    """The worker of the first build sets its tag after the second one's, and dies."""
    image_id, first, _ = rebuilt(worker)
    worker.docker.tag(str(made_by(worker, first)), public_tag(image_id))
    return public_tag(image_id)


def late_result(worker: Worker) -> str:
    """A worker that was given up ends its attempt, and dies."""
    image_id, _, second = rebuilt(worker)
    labelled(worker, image_id, second, build_tag(image_id, second))
    return build_tag(image_id, second)


@pytest.mark.parametrize("moved", [late_public_tag, late_result])
def test_a_tag_that_was_moved_late_is_set_back_and_the_audit_is_clean(
    worker: Worker, auditor: Auditor, sweeper: Sweeper, moved: Callable[[Worker], str]
) -> None:
    tag = moved(worker)
    before = auditor.found()

    report = sweeper.run()
    worker.work()

    assert len(before) == 1
    assert before[0].startswith("tag image/")
    assert report.set_back == [tag]
    assert auditor.found() == []
    image_id = worker.installation.rows("SELECT id FROM images")[0]["id"]
    assert publicly_tagged(worker, image_id) == made_by(worker, builds_of(worker, image_id)[1])
    assert sweeper.run().set_back == []
    assert worker.work() == 0


@pytest.mark.parametrize("moved", [late_public_tag, late_result])
def test_a_dry_run_tells_of_it_and_sets_nothing(
    worker: Worker, sweeper: Sweeper, moved: Callable[[Worker], str]
) -> None:
    tag = moved(worker)
    tags = worker.engine.snapshot().tags

    report = sweeper.run(dry_run=True)

    assert report.set_back == [tag]
    assert (worker.work(), worker.engine.snapshot().tags) == (0, tags)


def test_a_sweep_that_finds_all_in_order_calls_the_engine_no_more_often(
    worker: Worker, sweeper: Sweeper
) -> None:
    rebuilt(worker)
    sweeper.run()
    worker.engine.calls.clear()

    report = sweeper.run()

    assert report.set_back == []
    assert [call for call, _ in worker.engine.calls] == ["list_images", "engine_id"]


def _removed(worker: Worker, tag: str) -> None:
    worker.docker.remove_tag(tag)


def _taken(worker: Worker, tag: str) -> None:
    # Another installation on the engine, whose ids begin at 1, too.
    worker.docker.add_image(App(), tag)


@pytest.mark.parametrize("lost", [_removed, _taken])
def test_a_tag_that_is_not_on_an_image_of_ours_is_left_to_whoever_took_it(
    worker: Worker, sweeper: Sweeper, lost: Callable[[Worker, str], None]
) -> None:
    worker.ready_image()
    for tag in worker.engine.snapshot().tags:
        lost(worker, tag)
    tags = worker.engine.snapshot().tags

    report = sweeper.run()

    assert report.set_back == []
    assert (worker.work(), worker.engine.snapshot().tags) == (0, tags)


def test_a_tag_of_a_build_whose_image_is_gone_is_not_asked_for_in_vain(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id, first, second = rebuilt(worker)
    worker.docker.tag(str(made_by(worker, first)), public_tag(image_id))
    worker.docker.remove_tag(build_tag(image_id, second))

    report = sweeper.run()

    assert report.set_back == []
    assert worker.work() == 0


def test_a_tag_that_is_not_set_back_is_for_the_next_sweep(worker: Worker, sweeper: Sweeper) -> None:
    tag = late_result(worker)
    sweeper.make("ghost/5/context/file")
    worker.engine.fail_next("tag", EngineTransient("try later"))

    failed = sweeper.run()

    assert failed.set_back == []
    assert "ghost/5" in sweeper.names(failed)
    assert sweeper.run().set_back == [tag]


def test_an_engine_that_goes_away_meanwhile_ends_the_sweep(
    worker: Worker, sweeper: Sweeper
) -> None:
    late_result(worker)
    sweeper.make("ghost/5/context/file")
    worker.engine.fail_next("tag", EngineUnreachable("nobody answers"))

    with pytest.raises(EngineUnreachable):
        sweeper.run()

    assert "ghost/5/context/file" in sweeper.files()


def test_the_tag_of_an_image_that_is_deleted_meanwhile_is_not_set_again(
    worker: Worker, sweeper: Sweeper
) -> None:
    late_public_tag(worker)
    image_id, active = (
        worker.installation.rows("SELECT id, active_build_id FROM images")[0][key]
        for key in ("id", "active_build_id")
    )
    (astray,) = sweeper.tags.astray(worker.engine_id, worker.docker.list_images("test"))
    worker.installation.delete_image(image_id)

    sweeper.tags.set_back(astray)
    worker.work()

    assert astray.build.build_id == active
    assert worker.installation.row("images", image_id)["status"] == "deleted"
    assert worker.engine.snapshot().tags == {}
