"""A container that comes up while its lease, its wish or its engine changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.errors import LeaseLost
from domain.container_status import Desired
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.creations import created
from tests.integration.worker.worker import Worker


def test_a_worker_that_was_overtaken_touches_neither_docker_nor_the_ledger(
    worker: Worker,
) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim = worker.claim()
    worker.installation.expire_leases()
    other.work()
    made = len(worker.engine.calls)

    with pytest.raises(LeaseLost):
        worker.carry_out(claim)

    assert worker.told(container_id) == ["created", "started"]
    assert len(worker.engine.calls) == made


@pytest.mark.parametrize("call", ["create", "start"])
def test_a_worker_that_is_overtaken_during_a_call_records_nothing_of_it(
    worker: Worker, call: str
) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim, held = worker.claim(), worker.engine.hold_next(call, after=True)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(worker.carry_out, claim)
        assert held.reached.wait(30)
        worker.installation.expire_leases()
        other.work()
        held.let_go.set()

        with pytest.raises(LeaseLost):
            late.result(30)

    assert worker.told(container_id) == ["created", "started"]
    assert len(worker.engine.snapshot().containers) == 1


def test_a_verdict_that_comes_after_the_lease_was_lost_is_not_recorded(worker: Worker) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    worker.installation.expire_leases()
    other.claim()

    with pytest.raises(LeaseLost):
        worker.reconcile.conclude(claim, probe, worker.verdict(probe))

    assert worker.told(container_id) == []


def test_another_engine_that_answers_fails_nobodys_container(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    verdict = worker.verdict(probe)

    worker.engine.another_engine()
    worker.reconcile.conclude(claim, probe, verdict)

    assert (worker.status(container_id), worker.told(container_id)) == ("creating", [])
    assert worker.held_ports() == [FIRST_PORT]


def test_a_container_wished_deleted_while_it_comes_up_is_removed_without_a_word(
    worker: Worker,
) -> None:
    container_id = created(worker)
    worker.installation.wish(container_id, Desired.DELETED)

    worker.work()

    assert (worker.status(container_id), worker.told(container_id)) == ("deleted", [])
    assert worker.engine.snapshot().containers == {}
    assert worker.held_ports() == []


def test_a_container_wished_deleted_under_a_running_start_is_told_whole(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    worker.installation.wish(container_id, Desired.DELETED)

    worker.reconcile.conclude(claim, probe, worker.verdict(probe))
    worker.work()

    assert worker.told(container_id) == ["created", "started", "stopped", "deleted"]
    assert worker.engine.snapshot().containers == {}
