"""A build to its one outcome, whatever its workers go through."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.engine_calls import BuildOrder
from application.errors import (
    BuildInterrupted,
    BuildTimedOut,
    EngineExhausted,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    LeaseLost,
)
from application.record_build import MAX_ATTEMPTS
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.images import build, image, public_tag, told, uploaded
from tests.integration.worker.worker import Worker


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


def test_a_time_limit_that_was_reached_has_failed_wherever_the_engine_is_by_then(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(worker)

    def take_too_long(_: BuildOrder) -> str:
        worker.docker.reachable = False
        raise BuildTimedOut("the build took longer than 900 seconds")

    monkeypatch.setattr(worker.engine, "build", take_too_long)
    worker.builds.act(worker.claim_build(), worker.engine_id)

    assert build(worker, image_id) == ("failed", 1)


def test_what_an_attempt_met_with_is_forgotten_once_another_one_succeeds(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineExhausted("no space left on device"))

    worker.work()
    worker.come_due()
    worker.work()

    (row,) = worker.installation.rows("SELECT status_reason FROM builds")
    assert (image(worker, image_id), row["status_reason"]) == ("ready", None)
