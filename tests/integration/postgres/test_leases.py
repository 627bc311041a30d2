"""Leases by the database's clock: who may record, what is due when, and whose turn it is."""

import psycopg
import pytest

from application.errors import LeaseLost
from application.keep_leases import KeepLeases
from application.leases import Lease, Renewal, Settlement, Work
from domain.container_status import Desired
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.observations import ended, seen

SETTLEMENTS = [Settlement.done(), Settlement.again(), Settlement.retry(1)]


def seconds_left(installation: Installation, lease: Lease) -> float:
    (row,) = installation.rows(
        "SELECT extract(epoch FROM lease_until - now())::float8 AS left FROM containers "
        f"WHERE id = {lease.id}"
    )
    return float(row["left"])


def claimed_container(installation: Installation) -> Lease:
    installation.create(installation.ready_image())
    (lease,) = installation.claim()
    return lease


def taken_over(installation: Installation) -> tuple[Lease, Lease]:
    """A lease that ran out, and the one of the worker that took over."""
    old = claimed_container(installation)
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    installation.expire_leases()
    (new,) = installation.claim()
    return old, new


def everything(installation: Installation) -> list[object]:
    tables = ("containers", "host_ports", "events", "outbox", "images", "builds")
    return [
        installation.rows(f"SELECT t::text FROM {table} t ORDER BY t::text") for table in tables
    ]


def test_a_claimed_container_is_nobody_elses_while_its_lease_lasts(
    installation: Installation,
) -> None:
    lease = claimed_container(installation)
    installation.execute("UPDATE containers SET next_attempt_at = now()")

    assert installation.claim() == []
    assert 0 < seconds_left(installation, lease) <= 10


def test_a_container_of_another_engine_is_not_claimed(installation: Installation) -> None:
    installation.create(installation.ready_image())

    leases = installation.transactions.run(
        lambda uow: uow.leases.claim_containers("engine-2", tuple(Work), 10)
    )

    assert leases == []


def test_a_lease_that_ran_out_is_taken_over_with_a_higher_epoch(
    installation: Installation,
) -> None:
    old, new = taken_over(installation)

    assert (old.id, old.epoch, new.epoch) == (new.id, 1, 2)
    assert installation.row("containers", new.id)["lease_epoch"] == 2


def test_a_container_whose_worker_died_is_due_without_anybodys_help(
    installation: Installation,
) -> None:
    claimed_container(installation)

    installation.expire_leases()

    assert len(installation.claim()) == 1


def test_a_container_in_a_step_whose_worker_died_is_due_again(installation: Installation) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, Desired.STOPPED)
    installation.claim()

    installation.expire_leases()
    (lease,) = installation.claim()

    assert (lease.work, lease.epoch) == (Work.STOP, 3)


def test_an_outcome_under_an_old_epoch_is_refused_and_writes_nothing(
    installation: Installation,
) -> None:
    old, _ = taken_over(installation)
    outcomes, before = installation.outcomes(old), everything(installation)

    for record in (
        lambda: outcomes.running(seen(old.id)),
        lambda: outcomes.failed("reason", "logs", ended(old.id)),
        outcomes.looked,
        outcomes.renamed,
        outcomes.moved_port,
    ):
        with pytest.raises(LeaseLost):
            record()

    assert everything(installation) == before


@pytest.mark.parametrize("settlement", SETTLEMENTS)
def test_an_old_lease_is_neither_held_nor_covered_nor_settled(
    installation: Installation, settlement: Settlement
) -> None:
    old, _ = taken_over(installation)
    before = everything(installation)

    with pytest.raises(LeaseLost):
        installation.settle(old, settlement)
    with pytest.raises(LeaseLost):
        installation.transactions.run(lambda uow: uow.leases.hold(old))
    with pytest.raises(LeaseLost):
        installation.transactions.run(lambda uow: uow.leases.cover(old, 60))

    assert everything(installation) == before


@pytest.mark.parametrize("settlement", SETTLEMENTS)
def test_a_settled_lease_is_over_for_its_own_worker_too(
    installation: Installation, settlement: Settlement
) -> None:
    lease = claimed_container(installation)
    keep = KeepLeases(installation.transactions, lease_seconds=10)
    installation.settle(lease, settlement)
    before = everything(installation)

    with pytest.raises(LeaseLost):
        installation.settle(lease, settlement)
    with pytest.raises(LeaseLost):
        installation.transactions.run(lambda uow: uow.leases.cover(lease, 60))

    assert keep.renew([lease]) == {}
    assert everything(installation) == before


def test_renewing_prolongs_what_is_held_and_leaves_out_what_was_lost(
    installation: Installation,
) -> None:
    old, new = taken_over(installation)
    keep = KeepLeases(installation.transactions, lease_seconds=120)

    renewed = keep.renew([old, new])

    assert list(renewed) == [new]
    assert 100 < seconds_left(installation, new) <= 120


def test_renewing_tells_of_a_later_wish(installation: Installation) -> None:
    lease = claimed_container(installation)
    keep = KeepLeases(installation.transactions, lease_seconds=10)
    installation.wish(lease.id, Desired.DELETED)

    renewed = keep.renew([lease])

    assert renewed[lease].generation == lease.generation + 1


def test_neither_renewing_nor_covering_ever_shortens_a_lease(installation: Installation) -> None:
    lease = claimed_container(installation)
    keep = KeepLeases(installation.transactions, lease_seconds=10)
    installation.transactions.run(lambda uow: uow.leases.cover(lease, 300))

    keep.renew([lease])
    installation.transactions.run(lambda uow: uow.leases.cover(lease, 5))

    assert seconds_left(installation, lease) > 250


def test_a_row_that_somebody_holds_keeps_no_other_lease_from_being_renewed(
    installation: Installation,
) -> None:
    installation.create(installation.ready_image(), 2)
    first, second = installation.claim()
    keep = KeepLeases(installation.transactions, lease_seconds=120)

    with psycopg.connect(installation.url) as frozen:
        frozen.execute("SELECT FROM containers WHERE id = %s FOR UPDATE", (first.id,))
        held = keep.renew([first, second])
        left = seconds_left(installation, first), seconds_left(installation, second)
    free = keep.renew([first, second])

    assert {lease: renewal.prolonged for lease, renewal in held.items()} == {
        first: False,
        second: True,
    }
    assert left[0] <= 10
    assert left[1] > 100
    assert all(renewal.prolonged for renewal in free.values())
    assert seconds_left(installation, first) > 100


def test_of_a_row_that_somebody_holds_the_latest_wish_is_told_and_whether_it_was_lost(
    installation: Installation,
) -> None:
    installation.create(installation.ready_image(), 2)
    wished, lost = installation.claim()
    installation.wish(wished.id, Desired.DELETED)
    installation.settle(lost, Settlement.again())
    keep = KeepLeases(installation.transactions, lease_seconds=120)

    with psycopg.connect(installation.url) as frozen:
        frozen.execute("SELECT FROM containers FOR UPDATE")
        renewed = keep.renew([wished, lost])

    assert renewed == {
        wished: Renewal(wished.generation + 1, cancel_requested=False, prolonged=False)
    }


@pytest.mark.parametrize("cancelled", [False, True])
def test_of_a_build_that_somebody_holds_it_is_told_whether_it_is_to_end(
    installation: Installation, *, cancelled: bool
) -> None:
    image_id = installation.upload()
    (lease,) = installation.claim_builds()
    installation.execute("UPDATE builds SET status = 'running', engine_id = 'engine-1'")
    if cancelled:
        installation.cancel(image_id)
    keep = KeepLeases(installation.transactions, lease_seconds=120)

    with psycopg.connect(installation.url) as frozen:
        frozen.execute("SELECT FROM builds FOR UPDATE")
        renewed = keep.renew([lease])

    assert renewed == {lease: Renewal(0, cancel_requested=cancelled, prolonged=False)}
