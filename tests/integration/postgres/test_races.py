"""Limits, ports, hostnames and claims under real concurrency: one wins, the rest are told why."""

import threading
from collections.abc import Callable
from functools import partial

import psycopg
import pytest

from application.errors import DatabaseUnavailable
from application.unit_of_work import UnitOfWork
from domain.errors import HostnameTaken, ImageHasLiveContainers, InstanceLimitReached, NoFreePort
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.racing import DEADLINE_SECONDS, race, raised


def test_twenty_parallel_creates_make_exactly_as_many_containers_as_are_allowed(
    installation: Installation,
) -> None:
    image_id = installation.ready_image(maximum=5)

    results = race([lambda: installation.create(image_id)] * 20)

    rows = installation.rows("SELECT slot, external_port FROM containers")
    assert len(results) == 20
    assert len(raised(results, InstanceLimitReached)) == 15
    assert sorted(row["slot"] for row in rows) == [1, 2, 3, 4, 5]
    assert len({row["external_port"] for row in rows}) == 5
    assert (
        installation.rows("SELECT 1 FROM host_ports WHERE container_id IS NOT NULL")
        == [{"?column?": 1}] * 5
    )


def test_parallel_creates_of_many_are_all_or_none(installation: Installation) -> None:
    image_id = installation.ready_image(maximum=5)

    results = race([lambda: installation.create(image_id, 2)] * 6)

    assert sorted(len(result) for result in results if isinstance(result, list)) == [2, 2]
    assert len(raised(results, InstanceLimitReached)) == 4
    assert len(installation.rows("SELECT 1 FROM containers")) == 4


def test_users_who_race_for_the_last_ports_get_one_each_and_never_the_same(
    installation: Installation,
) -> None:
    images = [installation.ready_image(f"user-{n}", f"{n}.example", 3) for n in range(6)]
    taken = installation.ports - 10
    installation.execute(
        "UPDATE host_ports SET free_after = 'infinity' WHERE port IN "
        f"(SELECT port FROM host_ports ORDER BY port LIMIT {taken})"
    )

    results = race(
        [
            partial(installation.create, image_id, 1, f"user-{n}")
            for n, image_id in enumerate(images)
            for _ in range(3)
        ]
    )

    ports = [row["external_port"] for row in installation.rows("SELECT * FROM containers")]
    assert len(raised(results, NoFreePort)) == 8
    assert len(ports) == len(set(ports)) == 10


def test_users_who_race_for_a_hostname_leave_it_with_one_of_them(
    installation: Installation,
) -> None:
    results = race([partial(installation.upload, f"racer-{n}", "app.example") for n in range(8)])

    images = installation.rows("SELECT user_id FROM images")
    assert len(raised(results, HostnameTaken)) == 7
    assert installation.rows("SELECT user_id FROM hostnames") == images
    assert len(installation.rows("SELECT 1 FROM events")) == 1
    assert [path.name for path in sorted(installation.store.path("").glob("racer-*"))] == [
        row["user_id"] for row in images
    ]


def test_an_image_is_deleted_or_gets_its_container_but_never_both(
    installation: Installation,
) -> None:
    for number in range(5):
        image_id = installation.ready_image(hostname=f"{number}.example")

        racers: list[Callable[[], object]] = [
            partial(installation.create, image_id),
            partial(installation.delete_image, image_id),
        ]

        results = race(racers)

        status = installation.row("images", image_id)["status"]
        refused = raised(results, ImageHasLiveContainers)
        live = installation.rows(f"SELECT 1 FROM containers WHERE image_id = {image_id}")
        assert (status, len(live), len(refused)) in [("ready", 1, 1), ("deleting", 0, 0)]


def test_of_twenty_workers_one_gets_the_container(installation: Installation) -> None:
    (container_id,) = installation.create(installation.ready_image())

    results = race([installation.claim] * 20)

    leases = [lease for result in results if isinstance(result, list) for lease in result]
    assert [(lease.id, lease.epoch) for lease in leases] == [(container_id, 1)]


def test_racing_workers_share_what_is_due_without_overlap(installation: Installation) -> None:
    image_id = installation.ready_image(maximum=10)
    ids = installation.create(image_id, 10)

    results = race([lambda: installation.claim(limit=3)] * 5)

    claimed = [lease.id for result in results if isinstance(result, list) for lease in result]
    assert sorted(claimed) == sorted(set(claimed))
    assert set(claimed) <= set(ids)
    assert set(claimed) | {lease.id for lease in installation.claim(limit=10)} == set(ids)


def test_two_transactions_that_deadlock_are_both_carried_out(installation: Installation) -> None:
    first, second = installation.ready_image(), installation.ready_image(hostname="b.example")
    both_hold_one = threading.Barrier(2)
    attempts: list[int] = []

    def lock(own: int, other: int) -> int:
        def work(uow: UnitOfWork) -> int:
            attempts.append(own)
            uow.images.lock(own)
            if attempts.count(own) == 1:
                both_hold_one.wait(DEADLINE_SECONDS)
            return uow.images.lock(other).id

        return installation.transactions.run(work)

    results = race([lambda: lock(first, second), lambda: lock(second, first)])

    assert results == [second, first]
    # Who was ended may be back before the other has woken up, and they meet once more.
    assert len(attempts) >= 3


def test_a_serialisation_failure_is_repeated_and_one_that_stays_is_given_up(
    installation: Installation,
) -> None:
    attempts: list[int] = []

    def lose(times: int) -> str:
        def work(uow: UnitOfWork) -> str:
            attempts.append(times)
            if len(attempts) <= times:
                raise psycopg.errors.SerializationFailure
            return "carried out"

        return installation.transactions.run(work)

    assert lose(3) == "carried out"
    assert len(attempts) == 4
    attempts.clear()
    with pytest.raises(DatabaseUnavailable):
        lose(1000)
    assert len(attempts) == 10
