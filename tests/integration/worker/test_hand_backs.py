"""A worker that ends gives back what it has in hand: nothing is done for it that was not due."""

import pytest

from application.errors import EngineInterrupted, EngineTransient, EngineUnreachable
from application.keep_leases import KeepLeases
from application.leases import Work
from application.reconcile_container import ContainerClaim
from domain.container_status import Desired
from domain.restart_policy import RestartPolicy
from tests.integration.worker.images import image
from tests.integration.worker.worker import RAN, Worker


def hand_back(worker: Worker, claim: ContainerClaim, retry_in_seconds: float = 0.0) -> None:
    leases = KeepLeases(worker.installation.transactions, lease_seconds=10)
    leases.hand_back(claim.lease, retry_in_seconds)


def exited(worker: Worker, policy: RestartPolicy) -> int:
    """A container that crashed, and that its policy leaves alone or starts after a backoff."""
    image_id = worker.ready_image()
    worker.installation.change_image(image_id, restart_policy=policy)
    (container_id,) = worker.installation.create(image_id)
    worker.work()
    worker.docker.end(worker.docker_id(container_id), 1)
    worker.carry_out(worker.observe(container_id))
    return container_id


@pytest.mark.parametrize("policy", [RestartPolicy.NEVER, RestartPolicy.ON_FAILURE])
def test_a_look_that_is_handed_back_starts_nothing(worker: Worker, policy: RestartPolicy) -> None:
    container_id = exited(worker, policy)
    before = worker.installation.row("containers", container_id)

    hand_back(worker, worker.observe(container_id))
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], worker.told(container_id)) == ("exited", [*RAN, "stopped"])
    assert row["next_attempt_at"] == before["next_attempt_at"]


def test_a_look_that_is_handed_back_after_the_deletion_leaves_nothing_due(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.DELETED)
    claim = worker.claim()
    # Docker tells of the end while the worker is at it.
    worker.census.nominate([worker.installation.row("containers", container_id)["uid"]])
    worker.carry_out(claim)

    hand_back(worker, worker.claim())

    assert worker.status(container_id) == "deleted"
    assert worker.work() == 0


def test_a_step_that_is_handed_back_is_due_at_once(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)

    hand_back(worker, worker.claim())
    worker.work()

    assert worker.status(container_id) == "stopped"


# A look that is due: again, as after a list was asked for, or because its wish is new.
DUE_LOOKS = ["next_attempt_at = now()", "generation = generation + 1"]


@pytest.mark.parametrize("due", DUE_LOOKS)
def test_a_look_that_was_due_and_failed_rests_and_is_taken_then(worker: Worker, due: str) -> None:
    container_id = worker.run_container()
    worker.installation.execute(f"UPDATE containers SET {due}")
    claim = worker.claim()

    hand_back(worker, claim, 60.0)

    assert (claim.lease.work, worker.work()) == (Work.OBSERVE, 0)
    worker.come_due()
    assert worker.work() == 1
    row = worker.installation.row("containers", container_id)
    assert row["applied_generation"] == row["generation"]


@pytest.mark.parametrize("due", DUE_LOOKS)
def test_a_look_that_was_due_rests_after_trouble_with_the_engine(worker: Worker, due: str) -> None:
    worker.run_container()
    worker.installation.execute(f"UPDATE containers SET {due}")
    worker.engine.fail_next("inspect", EngineUnreachable("nobody answers"))

    worker.carry_out(worker.claim())

    assert worker.work() == 0
    worker.come_due()
    assert worker.work() == 1


def test_a_step_that_ends_with_its_worker_is_due_at_once_and_its_user_reads_nothing_of_it(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.engine.fail_next("stop", EngineTransient("it is locked"))
    worker.work()
    worker.come_due()
    worker.engine.fail_next("stop", EngineInterrupted("this worker ends"))

    worker.carry_out(worker.claim())

    shown = worker.installation.reader.container("user-1", container_id)
    assert (shown.status, shown.status_reason) == ("stopping", "it is locked")
    assert [str(each) for each in worker.setbacks] == ["it is locked"]
    worker.work()
    assert worker.status(container_id) == "stopped"


def test_a_removal_that_ends_with_its_worker_is_due_at_once_and_its_user_reads_nothing_of_it(
    worker: Worker,
) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)
    worker.engine.fail_next("remove_tag", EngineInterrupted("this worker ends"))
    (lease,) = worker.removals.claim(worker.engine_id, 1)

    worker.removals.act(lease)

    shown = worker.installation.reader.image("user-1", image_id)
    assert (shown.status, shown.status_reason, worker.setbacks) == ("deleting", None, [])
    worker.work()
    assert image(worker, image_id) == "deleted"
