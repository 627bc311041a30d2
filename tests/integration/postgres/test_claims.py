"""What is due when, and whose turn it is: backoff, new wishes, fairness among users."""

import pytest

from application.leases import Lease, Leased, Settlement, Work
from domain.container_status import Desired
from tests.integration.postgres.installation import ENGINE, Installation
from tests.integration.postgres.observations import seen


def claimed_container(installation: Installation) -> Lease:
    installation.create(installation.ready_image())
    (lease,) = installation.claim()
    return lease


def test_a_failed_attempt_counts_and_rests_until_its_backoff_is_over(
    installation: Installation,
) -> None:
    lease = claimed_container(installation)

    installation.settle(lease, Settlement.retry(60))
    resting = installation.claim()
    installation.execute("UPDATE containers SET next_attempt_at = now() - interval '1 ms'")
    (again,) = installation.claim()

    assert resting == []
    assert (lease.attempts, again.attempts) == (0, 1)


def test_handing_back_counts_no_attempt(installation: Installation) -> None:
    lease = claimed_container(installation)

    installation.settle(lease, Settlement.again())
    (again,) = installation.claim()

    assert (again.attempts, again.generation) == (0, lease.generation)


def test_success_forgets_earlier_attempts(installation: Installation) -> None:
    lease = claimed_container(installation)
    installation.settle(lease, Settlement.retry(0))
    (again,) = installation.claim()

    installation.outcomes(again).running(seen(again.id))

    row = installation.row("containers", again.id)
    assert (again.attempts, row["attempts"], row["applied_generation"]) == (1, 0, 1)


def test_a_new_wish_is_taken_up_at_once_whatever_backoff_is_running(
    installation: Installation,
) -> None:
    lease = claimed_container(installation)
    installation.settle(lease, Settlement.retry(3600))

    installation.wish(lease.id, Desired.DELETED)
    (again,) = installation.claim()

    assert (again.work, again.generation) == (Work.DELETE, 2)


def test_a_wish_that_came_while_another_was_carried_out_stays_due(
    installation: Installation,
) -> None:
    lease = claimed_container(installation)
    installation.wish(lease.id, Desired.DELETED)

    installation.outcomes(lease).running(seen(lease.id))

    row = installation.row("containers", lease.id)
    assert (row["generation"], row["applied_generation"], row["settled_generation"]) == (2, 1, 1)
    assert [again.work for again in installation.claim()] == [Work.DELETE]


def test_a_container_as_it_is_desired_is_due_no_more(installation: Installation) -> None:
    installation.run_container()

    assert installation.claim() == []


def test_a_container_that_vanished_is_due_no_more(installation: Installation) -> None:
    container_id = installation.run_container()
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    (lease,) = installation.claim()

    installation.note_missing(lease.id)
    installation.outcomes(lease).vanished()

    assert installation.claim() == []
    assert installation.row("containers", container_id)["status"] == "deleted"


def test_a_deletion_that_was_wished_while_the_container_vanished_is_settled(
    installation: Installation,
) -> None:
    container_id = installation.run_container()
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    (lease,) = installation.claim()
    installation.wish(container_id, Desired.DELETED)
    installation.note_missing(lease.id)
    installation.outcomes(lease).vanished()

    (again,) = installation.claim()
    installation.outcomes(again).looked()

    row = installation.row("containers", container_id)
    assert (row["status"], row["applied_generation"]) == ("deleted", 2)
    assert installation.claim() == []


def test_everybodys_first_container_comes_before_anybodys_second(
    installation: Installation,
) -> None:
    greedy = installation.create(installation.ready_image(maximum=10), 8)
    modest = [
        installation.create(installation.ready_image(user_id, f"{user_id}.example"), 1, user_id)[0]
        for user_id in ("user-2", "user-3")
    ]

    first = {lease.id for lease in installation.claim(limit=3)}
    second = {lease.id for lease in installation.claim(limit=3)}

    assert first == {greedy[0], *modest}
    assert second == set(greedy[1:4])


def test_what_a_user_has_in_hand_counts_against_their_turn(installation: Installation) -> None:
    installation.create(installation.ready_image(maximum=10), 5)
    installation.claim(limit=3)
    late = installation.create(
        installation.ready_image("user-2", "b.example", maximum=10), 3, "user-2"
    )

    leases = installation.claim(limit=3)

    assert {lease.id for lease in leases} == set(late)


@pytest.mark.parametrize(
    ("wished", "work"), [(Desired.STOPPED, Work.STOP), (Desired.DELETED, Work.DELETE)]
)
def test_a_claim_takes_only_the_kinds_of_work_that_it_asks_for(
    installation: Installation, wished: Desired, work: Work
) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, wished)
    others = tuple(other for other in Work if other is not work)

    assert installation.claim(works=others) == []
    assert [lease.id for lease in installation.claim(works=(work,))] == [container_id]


def test_a_build_is_claimed_once_and_taken_over_when_its_worker_died(
    installation: Installation,
) -> None:
    installation.upload()

    (first,), nothing = installation.claim_builds(), installation.claim_builds()
    installation.expire_leases()
    (second,) = installation.claim_builds()

    assert nothing == []
    assert (first.kind, first.work, first.epoch) == (Leased.BUILD, Work.BUILD, 1)
    assert (second.id, second.epoch) == (first.id, 2)


def test_an_image_in_deletion_is_claimed_once_its_containers_and_builds_are_over(
    installation: Installation,
) -> None:
    image_id = installation.ready_image()
    (container_id,) = installation.create(image_id)
    (lease,) = installation.claim()
    installation.outcomes(lease).failed("reason", "logs", None)
    installation.delete_image(image_id)

    def claim() -> list[int]:
        claimed = installation.transactions.run(
            lambda uow: uow.leases.claim_image_removals(ENGINE, 5)
        )
        return [lease.id for lease in claimed]

    too_early = claim()
    (lease,) = installation.claim()
    installation.outcomes(lease).deleted()

    assert (too_early, claim(), claim()) == ([], [image_id], [])
    assert installation.told(f"container/{container_id}") == [
        "container.failed",
        "container.deleted",
    ]
