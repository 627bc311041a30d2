"""Instances in PostgreSQL: counted by the domain's rules, and limited whoever comes first."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from adapters.postgres.instances import FLEET
from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.errors import (
    BelowMinInstances,
    ImageInDeletion,
    InstanceLimitReached,
    MaxBelowLiveContainers,
)
from domain.events import Cause
from domain.instances import Fleet
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.observations import ended, seen
from tests.integration.postgres.racing import race, raised

COUNTS = f"""
SELECT fleet.serving, fleet.idle, fleet.stopped, fleet.live, fleet.attempts FROM images i {FLEET}
"""

# What tells containers apart: status, wish, whether a worker has taken that up, restarts.
STATES = list(
    itertools.product(
        ContainerStatus,
        Desired,
        [False, True],
        [Cause.API, Cause.MIN_INSTANCES],
        [False, True],
        [None, Cause.RECONCILER],
    )
)


def expect_same_counts(installation: Installation, image_id: int) -> None:
    (row,) = installation.rows(COUNTS)
    containers = installation.transactions.run(lambda uow: uow.containers.of_image(image_id))
    assert Fleet(**row) == Fleet.of(containers)


def test_the_database_counts_instances_as_the_domain_does(installation: Installation) -> None:
    image_id = installation.ready_image(maximum=10, minimum=10)
    (container_id,) = installation.create(image_id)

    for status, desired, settled, cause, restarts, restart_cause in STATES:
        over = status in {ContainerStatus.FAILED, ContainerStatus.DELETED}
        installation.execute(
            f"""UPDATE containers
                SET status = '{status}', desired = '{desired}', wish_cause = '{cause}',
                    settled_generation = {int(settled)}, open_run_id = gen_random_uuid(),
                    restart_at = {"now()" if restarts else "NULL"},
                    restart_cause = {f"'{restart_cause}'" if restart_cause else "NULL"},
                    slot = {"NULL" if over else 1}, slot_limit = {"NULL" if over else 10},
                    external_port = {"NULL" if over else 20000}
                WHERE id = {container_id}"""
        )
        expect_same_counts(installation, image_id)


def test_an_image_that_keeps_no_instances_is_short_of_none(installation: Installation) -> None:
    installation.ready_image()

    assert installation.keep_instances() == []


@pytest.mark.parametrize("status", ["registered", "building", "deleting", "deleted"])
def test_only_an_image_with_a_good_build_that_is_not_deleted_gets_instances(
    installation: Installation, status: str
) -> None:
    installation.upload(minimum=1)
    installation.execute(f"UPDATE images SET status = '{status}'")

    assert installation.keep_instances() == []


def test_a_maximum_that_is_lowered_while_containers_are_made_is_never_passed(
    installation: Installation,
) -> None:
    for number in range(6):
        image_id = installation.ready_image(hostname=f"{number}.example", maximum=5)
        racers: list[Callable[[], object]] = [
            *[partial(installation.create, image_id)] * 5,
            *[partial(installation.change_image, image_id, max_instances=m) for m in (2, 3, 2)],
        ]

        results = race(racers)

        slots = installation.rows(
            f"SELECT slot FROM containers WHERE image_id = {image_id} ORDER BY slot"
        )
        maximum = installation.row("images", image_id)["max_instances"]
        refused = raised(results, InstanceLimitReached) + raised(results, MaxBelowLiveContainers)
        assert raised(results, Exception) == [each for each in results if each in refused]
        assert [row["slot"] for row in slots] == list(range(1, len(slots) + 1))
        assert 2 <= len(slots) <= maximum


def test_a_maximum_that_is_lowered_moves_containers_to_the_slots_that_are_left(
    installation: Installation,
) -> None:
    image_id = installation.ready_image(maximum=4)
    first, second, third, fourth = installation.create(image_id, 4)
    for container_id in (first, third):
        installation.wish(container_id, Desired.DELETED)
    for lease in installation.claim():
        if lease.desired is Desired.DELETED:
            installation.outcomes(lease).deleted()
        else:
            installation.outcomes(lease).running(seen(lease.id))

    installation.change_image(image_id, max_instances=2)

    slots = installation.rows("SELECT id, slot FROM containers WHERE slot IS NOT NULL ORDER BY id")
    assert slots == [{"id": second, "slot": 2}, {"id": fourth, "slot": 1}]
    with pytest.raises(InstanceLimitReached):
        installation.create(image_id)


def test_an_image_is_deleted_or_changed_but_a_deleted_one_is_not_changed(
    installation: Installation,
) -> None:
    for number in range(5):
        image_id = installation.ready_image(hostname=f"{number}.example", minimum=1)
        racers: list[Callable[[], object]] = [
            partial(installation.change_image, image_id, max_instances=5),
            partial(installation.delete_image, image_id, force=True),
            installation.keep_instances,
            installation.keep_instances,
        ]

        results = race(racers)

        image = installation.row("images", image_id)
        refused = raised(results, ImageInDeletion)
        wishes = installation.rows(f"SELECT desired FROM containers WHERE image_id = {image_id}")
        assert raised(results, Exception) == refused
        assert (image["status"], image["max_instances"]) == ("deleting", 3 if refused else 5)
        assert {row["desired"] for row in wishes} <= {"deleted"}
        installation.empty()


def test_stops_that_race_leave_as_many_running_as_min_instances_asks_for(
    installation: Installation,
) -> None:
    image_id = installation.ready_image(maximum=5, minimum=2)
    ids = installation.create(image_id, 5)
    for lease in installation.claim():
        installation.outcomes(lease).running(seen(lease.id))

    results = race([partial(installation.wish, each, Desired.STOPPED) for each in ids])

    wished = installation.rows("SELECT desired FROM containers WHERE desired = 'running'")
    assert len(raised(results, BelowMinInstances)) == len(wished) == 2


def test_failures_of_instances_that_race_are_all_counted(installation: Installation) -> None:
    image_id = installation.ready_image(maximum=4, minimum=4)
    installation.keep_instances()
    leases = installation.claim()

    results = race(
        [partial(installation.outcomes(lease).failed, "no", "", None) for lease in leases]
    )

    assert raised(results, Exception) == []
    assert installation.row("images", image_id)["replenish_failures"] == 4


def test_an_outcome_of_an_instance_and_a_change_of_its_image_wait_for_each_other(
    installation: Installation,
) -> None:
    """Both lock the image first: neither ends the other as a deadlock."""
    image_id = installation.ready_image(maximum=4, minimum=2)
    installation.keep_instances()
    leases = installation.claim()
    for lease in leases:
        installation.outcomes(lease).running(seen(lease.id))
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    claimed = installation.claim()
    racers: list[Callable[[], object]] = [
        *[
            partial(installation.outcomes(lease).exited, ended(lease.id, exit_code=0))
            for lease in claimed
        ],
        *[partial(installation.change_image, image_id, max_instances=m) for m in (2, 3)],
        installation.keep_instances,
        installation.keep_instances,
    ]

    results = race(racers)

    assert raised(results, Exception) == []


def test_a_container_knows_its_image_before_it_is_locked(installation: Installation) -> None:
    container_id = installation.run_container()

    image_id, container = installation.transactions.run(
        lambda uow: (uow.containers.image_id(container_id), uow.containers.lock(container_id))
    )

    assert isinstance(container, Container)
    assert image_id == container.spec.image_id
