"""A wish that comes while Docker is at the one before: both are told truly, the later one rules.

Each call of Docker waits at a gate, before it acts or after, until the wish is recorded. What comes
while an image builds is in `test_deletion_during_build`, `test_cancel_races` and `test_rebuilds`;
what races an image's deletion for its lock is in `tests/integration/postgres/test_races`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from application.leases import Settlement
from domain.container_status import Desired
from domain.errors import ContainerRefuses, ImageHasLiveContainers
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.worker import RAN, Worker

TIMEOUT = 30.0
BEFORE_AND_AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def act_meanwhile(worker: Worker, call: str, wish: Callable[[], object], *, after: bool) -> None:
    """Let a wish be recorded while the one claim that is due is at a call of Docker."""
    claim, held = worker.claim(), worker.engine.hold_next(call, after=after)
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(worker.carry_out, claim)
        assert held.reached.wait(TIMEOUT)
        try:
            wish()
        finally:
            held.let_go.set()
            acting.result(TIMEOUT)


def stopped(worker: Worker) -> int:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    return container_id


def wished(worker: Worker, container_id: int, desired: Desired) -> Callable[[], object]:
    return partial(worker.installation.wish, container_id, desired)


def expect_settled(worker: Worker, container_id: int, status: str, told: list[str]) -> None:
    worker.work()
    row = worker.installation.row("containers", container_id)
    assert (row["status"], worker.told(container_id)) == (status, told)
    assert row["applied_generation"] == row["generation"]
    assert Auditor(worker).found() == []


@BEFORE_AND_AFTER
@pytest.mark.parametrize("call", ["create", "start"])
def test_a_stop_during_the_creation_is_refused_and_the_container_comes_up(
    worker: Worker, call: str, *, after: bool
) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())

    with pytest.raises(ContainerRefuses) as refusal:
        act_meanwhile(worker, call, wished(worker, container_id, Desired.STOPPED), after=after)

    assert (refusal.value.current, refusal.value.requested) == ("creating", "stopped")
    expect_settled(worker, container_id, "running", RAN)


@BEFORE_AND_AFTER
def test_a_deletion_during_a_later_start_takes_it_down_with_its_run_told_whole(
    worker: Worker, *, after: bool
) -> None:
    container_id = stopped(worker)
    worker.installation.wish(container_id, Desired.RUNNING)

    act_meanwhile(
        worker,
        "start",
        lambda: worker.installation.wish(container_id, Desired.DELETED),
        after=after,
    )

    run = ["started", "stopped"]
    expect_settled(worker, container_id, "deleted", [*RAN, "stopped", *run, "deleted"])
    assert worker.engine.snapshot().containers == {}
    assert worker.held_ports() == []


def test_a_deletion_while_a_later_start_waits_for_its_port_tells_no_run(worker: Worker) -> None:
    container_id = stopped(worker)
    worker.installation.wish(container_id, Desired.RUNNING)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)

    worker.installation.wish(container_id, Desired.DELETED)
    # Whoever renews its lease learns of the wish, and gives it back as it is.
    worker.installation.settle(claim.lease, Settlement.again())

    assert probe is not None
    expect_settled(worker, container_id, "deleted", [*RAN, "stopped", "deleted"])
    assert worker.engine.snapshot().containers == {}


@BEFORE_AND_AFTER
def test_a_start_during_a_stop_is_carried_out_after_it(worker: Worker, *, after: bool) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)

    act_meanwhile(worker, "stop", wished(worker, container_id, Desired.RUNNING), after=after)

    expect_settled(worker, container_id, "running", [*RAN, "stopped", "started"])


@BEFORE_AND_AFTER
@pytest.mark.parametrize("call", ["create", "start"])
def test_an_image_is_not_deleted_while_a_container_of_it_is_created(
    worker: Worker, call: str, *, after: bool
) -> None:
    image_id = worker.ready_image()
    (container_id,) = worker.installation.create(image_id)

    with pytest.raises(ImageHasLiveContainers):
        act_meanwhile(worker, call, lambda: worker.installation.delete_image(image_id), after=after)

    expect_settled(worker, container_id, "running", RAN)
    assert worker.installation.row("images", image_id)["status"] == "ready"


@BEFORE_AND_AFTER
@pytest.mark.parametrize("call", ["create", "start"])
def test_a_forced_deletion_of_an_image_takes_along_what_is_just_created(
    worker: Worker, call: str, *, after: bool
) -> None:
    image_id = worker.ready_image()
    (container_id,) = worker.installation.create(image_id)

    act_meanwhile(
        worker, call, lambda: worker.installation.delete_image(image_id, force=True), after=after
    )

    expect_settled(worker, container_id, "deleted", [*RAN, "stopped", "deleted"])
    assert worker.installation.row("images", image_id)["status"] == "deleted"
    left = worker.engine.snapshot()
    assert (left.containers, left.tags) == ({}, {})


def test_a_rebuild_that_ends_while_a_container_is_created_leaves_it_on_its_build(
    worker: Worker,
) -> None:
    image_id = worker.ready_image()
    (container_id,) = worker.installation.create(image_id)
    first = worker.installation.row("images", image_id)["active_build_id"]

    def rebuild() -> None:
        worker.installation.rebuild(image_id)
        worker.builds.act(worker.claim_build(), worker.engine_id)

    act_meanwhile(worker, "create", rebuild, after=False)

    expect_settled(worker, container_id, "running", RAN)
    assert worker.installation.row("images", image_id)["active_build_id"] != first
    assert worker.installation.row("containers", container_id)["build_id"] == first
