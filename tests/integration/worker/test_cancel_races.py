"""A cancel that meets the end of its build, or another wish: one of them is told, and once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from application.engine_calls import BuildOrder
from application.errors import (
    BuildInterrupted,
    EngineError,
    EngineInterrupted,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
)
from domain.errors import ImageRefuses
from tests.integration.postgres.racing import race, raised
from tests.integration.worker.images import image, image_and_reason, public_tag, told, uploaded
from tests.integration.worker.worker import Worker

TIMEOUT = 30.0
CANCELLED = ["build_started", "build_cancelled"]


def end_by_itself(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, image_id: int, error: EngineError
) -> None:
    """Let the image's build be cancelled while it runs, and end before its worker hears of it."""

    def build(_: BuildOrder) -> str:
        worker.installation.cancel(image_id)
        raise error

    monkeypatch.setattr(worker.engine, "build", build)


def test_a_build_that_succeeds_before_the_cancel_reaches_it_has_succeeded(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build", after=True)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(TIMEOUT)
        worker.installation.cancel(image_id)
        held.let_go.set()
        running.result(TIMEOUT)

    assert image_and_reason(worker, image_id) == ("ready", None)
    assert told(worker, image_id) == ["build_started", "ready"]
    assert public_tag(image_id) in worker.engine.snapshot().tags
    assert worker.work() == 0


def test_a_build_that_fails_before_the_cancel_reaches_it_has_failed(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(worker)
    end_by_itself(worker, monkeypatch, image_id, EngineRefused("step 3 failed"))

    worker.work()

    assert image_and_reason(worker, image_id) == ("build_failed", "step 3 failed")
    assert told(worker, image_id) == ["build_started", "build_failed"]


@pytest.mark.parametrize(
    "error",
    [
        EngineTransient("the engine ended"),
        EngineUnreachable("nobody answers"),
        EngineInterrupted("this worker ends"),
        BuildInterrupted("this worker ends"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_build_that_was_to_be_ended_is_not_tried_again_whatever_ended_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, error: EngineError
) -> None:
    image_id = uploaded(worker)
    end_by_itself(worker, monkeypatch, image_id, error)

    worker.work()

    assert image_and_reason(worker, image_id) == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    worker.come_due()
    assert worker.work() == 0


def test_a_cancel_that_races_the_success_leaves_one_of_the_two(worker: Worker) -> None:
    for _ in range(10):
        image_id = uploaded(worker)
        lease = worker.claim_build()
        racers: list[Callable[[], object]] = [
            partial(worker.builds.act, lease, worker.engine_id),
            partial(worker.installation.cancel, image_id),
        ]

        results = race(racers)

        worker.work()
        status = image(worker, image_id)
        assert (status, told(worker, image_id)) in [
            ("ready", ["build_started", "ready"]),
            ("build_cancelled", CANCELLED),
        ]
        if raised(results, ImageRefuses):
            assert status == "ready"
        (row,) = worker.installation.rows(f"SELECT * FROM builds WHERE image_id = {image_id}")
        assert (row["lease_until"], row["next_attempt_at"]) == (None, None)


def test_a_cancel_that_races_the_deletion_is_told_once(worker: Worker) -> None:
    for _ in range(10):
        image_id = uploaded(worker)
        lease = worker.claim_build()
        racers: list[Callable[[], object]] = [
            partial(worker.builds.act, lease, worker.engine_id),
            partial(worker.installation.cancel, image_id),
            partial(worker.installation.delete_image, image_id),
        ]

        race(racers)

        worker.work()
        assert image(worker, image_id) == "deleted"
        assert told(worker, image_id) in [
            [*CANCELLED, "deleted"],
            ["build_started", "ready", "deleted"],
            ["build_started", "deleted"],
        ]
        assert worker.engine.snapshot().tags == {}


def test_of_many_who_cancel_at_once_one_is_told_in_the_ledger(worker: Worker) -> None:
    image_id = uploaded(worker)

    results = race([partial(worker.installation.cancel, image_id)] * 8)

    assert len(raised(results, ImageRefuses)) == 7
    assert told(worker, image_id) == CANCELLED


def test_of_two_who_rebuild_at_once_one_does(worker: Worker) -> None:
    image_id = worker.ready_image()

    results = race([partial(worker.installation.rebuild, image_id)] * 2)

    assert len(raised(results, ImageRefuses)) == 1
    worker.work()
    assert told(worker, image_id) == ["build_started", "ready"] * 2
