"""A cancel of a build, whatever the build is at: it ends once, and needs no worker to be heard."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import EngineRefused, EngineUnreachable, LeaseLost
from application.keep_leases import KeepLeases
from application.leases import Lease
from domain.errors import ImageRefuses
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.lease_keeper import LeaseKeeper
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.crashes import Crash, CrashingTransactions
from tests.integration.worker.images import build, image_and_reason, told, uploaded
from tests.integration.worker.worker import Worker

TIMEOUT = 30.0
CANCELLED = ["build_started", "build_cancelled"]


def keeper_of(worker: Worker, lease: Lease) -> LeaseKeeper:
    """What keeps the lease of a build in a worker's process."""
    jobs = Jobs()
    leases = KeepLeases(worker.installation.transactions, lease_seconds=10)
    keeper = LeaseKeeper(jobs, leases, worker.engine, lambda _: False, lease_seconds=10)
    jobs.add([Job(lease, keeper.held_until(time.monotonic()))])
    return keeper


def test_a_queued_build_is_cancelled_at_once_and_never_runs(worker: Worker) -> None:
    image_id = uploaded(worker)

    worker.installation.cancel(image_id)
    at_once = image_and_reason(worker, image_id)
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
        asked = image_and_reason(worker, image_id)
        keeper_of(worker, lease).renew()
        running.result(TIMEOUT)

    assert asked == ("building", None)
    assert image_and_reason(worker, image_id) == ("build_cancelled", "cancelled")
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

    assert image_and_reason(worker, image_id) == ("build_cancelled", "cancelled")
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
        cancelled = image_and_reason(worker, image_id)
        held.let_go.set()
        with pytest.raises(LeaseLost):
            paused.result(TIMEOUT)

    assert cancelled == image_and_reason(worker, image_id) == ("build_cancelled", "cancelled")
    assert told(worker, image_id) == CANCELLED
    assert worker.work() == 0


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
