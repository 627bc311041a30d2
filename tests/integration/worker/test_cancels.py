"""A cancel of a build, whatever the build is at: it ends once, and is told as it ended."""

import time
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
    LeaseLost,
)
from application.keep_leases import KeepLeases
from application.leases import Lease
from domain.errors import ImageRefuses
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.lease_keeper import LeaseKeeper
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Crash, CrashingTransactions
from tests.integration.postgres.racing import race, raised
from tests.integration.worker.worker import Worker

TIMEOUT = 30.0
CANCELLED = ["build_started", "build_cancelled"]


def uploaded(worker: Worker) -> int:
    worker.docker.app_of_builds = App()
    return worker.installation.upload()


def image(worker: Worker, image_id: int) -> tuple[str, str | None]:
    row = worker.installation.row("images", image_id)
    return row["status"], row["status_reason"]


def build(worker: Worker, image_id: int) -> tuple[str, int]:
    """The status and the attempts of an image's only build."""
    (row,) = worker.installation.rows(f"SELECT * FROM builds WHERE image_id = {image_id}")
    return row["status"], row["attempt"]


def told(worker: Worker, image_id: int) -> list[str]:
    types = worker.installation.told(f"image/{image_id}")
    return [type_.removeprefix("image.") for type_ in types]


def keeper_of(worker: Worker, lease: Lease) -> LeaseKeeper:
    """What keeps the lease of a build in a worker's process."""
    jobs = Jobs()
    leases = KeepLeases(worker.installation.transactions, lease_seconds=10)
    keeper = LeaseKeeper(jobs, leases, worker.engine, lambda _: False, lease_seconds=10)
    jobs.add([Job(lease, keeper.held_until(time.monotonic()))])
    return keeper


def end_by_itself(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, image_id: int, error: EngineError
) -> None:
    """Let the image's build be cancelled while it runs, and end before its worker hears of it."""

    def build(_: BuildOrder) -> str:
        worker.installation.cancel(image_id)
        raise error

    monkeypatch.setattr(worker.engine, "build", build)


def test_a_queued_build_is_cancelled_at_once_and_never_runs(worker: Worker) -> None:
    image_id = uploaded(worker)

    worker.installation.cancel(image_id)
    at_once = image(worker, image_id)
    worker.work()

    assert at_once == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    assert "build" not in {call for call, _ in worker.engine.calls}


def test_a_build_that_runs_is_ended_by_its_worker_when_that_renews_its_lease(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(TIMEOUT)
        worker.installation.cancel(image_id)
        asked = image(worker, image_id)
        keeper_of(worker, lease).renew()
        running.result(TIMEOUT)

    assert asked == ("building", None)
    assert image(worker, image_id) == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    assert worker.engine.snapshot().tags == {}
    assert worker.work() == 0


def test_a_build_whose_worker_lost_its_lease_is_ended_and_records_nothing(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    lease, held = worker.claim_build(), worker.engine.hold_next("build")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        other.work()
        keeper_of(worker, lease).renew()
        with pytest.raises(LeaseLost):
            running.result(TIMEOUT)

    assert build(worker, image_id) == ("succeeded", 2)
    assert told(worker, image_id) == ["build_started", "ready"]


def test_a_cancel_between_claim_and_begin_ends_the_claim(worker: Worker) -> None:
    image_id = uploaded(worker)
    lease = worker.claim_build()
    worker.installation.cancel(image_id)

    worker.builds.act(lease, worker.engine_id)

    assert (build(worker, image_id), told(worker, image_id)) == (("cancelled", 0), CANCELLED)
    assert worker.work() == 0


def test_a_cancel_of_what_waits_for_its_next_attempt_needs_no_worker(worker: Worker) -> None:
    image_id = uploaded(worker)
    worker.engine.fail_next("build", EngineUnreachable("nobody answers"))
    worker.builds.act(worker.claim_build(), worker.engine_id)

    worker.installation.cancel(image_id)

    assert image(worker, image_id) == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    worker.come_due()
    assert worker.work() == 0


def test_a_cancel_of_what_a_dead_worker_left_behind_needs_no_other_one(worker: Worker) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build", after=True)

    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(TIMEOUT)
        worker.installation.expire_leases()
        worker.installation.cancel(image_id)
        cancelled = image(worker, image_id)
        held.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)

    assert cancelled == image(worker, image_id) == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    assert worker.work() == 0


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

    assert image(worker, image_id) == ("ready", None)
    assert told(worker, image_id) == ["build_started", "ready"]
    assert f"nvidia-app-uuser-1-i{image_id}:latest" in worker.engine.snapshot().tags
    assert worker.work() == 0


def test_a_build_that_fails_before_the_cancel_reaches_it_has_failed(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(worker)
    end_by_itself(worker, monkeypatch, image_id, EngineRefused("step 3 failed"))

    worker.work()

    assert image(worker, image_id) == ("build_failed", "step 3 failed")
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

    assert image(worker, image_id) == ("build_cancelled", "cancelled")
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
        status = image(worker, image_id)[0]
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
        assert image(worker, image_id)[0] == "deleted"
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


def test_a_cancel_whose_api_dies_before_the_commit_was_none(worker: Worker) -> None:
    image_id = uploaded(worker)
    transactions = CrashingTransactions(worker.installation.transactions)

    with pytest.raises(Crash):
        worker.installation.cancel(image_id, transactions=transactions)
    worker.work()

    assert told(worker, image_id) == ["build_started", "ready"]


@pytest.mark.parametrize("state", ["ready", "build_failed", "build_cancelled", "deleting"])
def test_there_is_nothing_to_cancel_in_an_image_that_does_not_build(
    worker: Worker, state: str
) -> None:
    image_id = uploaded(worker)
    if state == "build_failed":
        worker.engine.fail_next("build", EngineRefused("step 3 failed"))
    if state == "build_cancelled":
        worker.installation.cancel(image_id)
    worker.work()
    if state == "deleting":
        worker.installation.delete_image(image_id)
    before = worker.installation.row("images", image_id)

    with pytest.raises(ImageRefuses) as refusal:
        worker.installation.cancel(image_id)

    assert (refusal.value.current, before["status"]) == (state, state)
    assert worker.installation.row("images", image_id) == before
