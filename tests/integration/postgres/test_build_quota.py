"""How many builds are in hand at once: of a worker, of a user, of an image, whoever claims."""

from functools import partial

from adapters.postgres.build_claims import LOCK_KEY
from application.leases import Lease, Settlement
from application.unit_of_work import UnitOfWork
from domain.build import LogTail
from tests.integration.postgres.installation import ENGINE, BuildShare, Installation, utc_now
from tests.integration.postgres.racing import race

_ADVISORY_LOCKS = """
SELECT 1 FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def upload_of(installation: Installation, user_id: str, count: int = 1) -> list[int]:
    """Upload images of a user; returns the ids of their builds."""
    images = [installation.upload(user_id, f"{user_id}.example") for _ in range(count)]
    rows = installation.rows(
        "SELECT id FROM builds WHERE image_id = ANY(%(images)s) ORDER BY id", {"images": images}
    )
    return [row["id"] for row in rows]


def ids(leases: list[Lease]) -> list[int]:
    return [lease.id for lease in leases]


def test_a_worker_holds_no_more_builds_than_its_share(installation: Installation) -> None:
    for number in range(4):
        upload_of(installation, f"user-{number}")
    mine, others = BuildShare(per_worker=2), BuildShare(per_worker=3)

    first, again = installation.claim_builds(mine), installation.claim_builds(mine)
    rest = installation.claim_builds(others)
    installation.settle(first[0], Settlement.done())
    upload_of(installation, "user-4")

    assert (len(first), len(again), len(rest)) == (2, 0, 2)
    assert len(installation.claim_builds(mine)) == 1


def test_a_user_at_the_limit_waits_and_lets_the_others_go_first(
    installation: Installation,
) -> None:
    greedy = upload_of(installation, "greedy", 4)
    (modest,) = upload_of(installation, "modest")

    first = installation.claim_builds(BuildShare(per_user=2), limit=2)
    second = installation.claim_builds(BuildShare(per_user=2))
    third = installation.claim_builds(BuildShare(per_user=2))

    assert (ids(first), ids(second), third) == ([greedy[0], modest], [greedy[1]], [])


def test_a_user_gets_the_next_build_when_one_of_his_is_over(installation: Installation) -> None:
    first, second = upload_of(installation, "user-1", 2)
    (lease,) = installation.claim_builds(BuildShare(per_user=1))
    meanwhile = installation.claim_builds(BuildShare(per_user=1))

    installation.settle(lease, Settlement.retry(60))

    assert (lease.id, meanwhile) == (first, [])
    assert ids(installation.claim_builds(BuildShare(per_user=1))) == [second]


def test_a_build_that_is_to_be_ended_goes_before_those_that_are_to_be_made(
    installation: Installation,
) -> None:
    upload_of(installation, "user-1", 3)
    last = installation.rows("SELECT max(id) AS id FROM builds")[0]["id"]
    installation.execute(
        f"UPDATE builds SET status = 'running', cancel_requested = true WHERE id = {last}"
    )

    assert ids(installation.claim_builds(BuildShare(per_user=1))) == [last]


def test_leases_that_ran_out_do_not_count_and_do_not_come_back(
    installation: Installation,
) -> None:
    first, second = upload_of(installation, "user-1", 2)
    dead = BuildShare(per_user=1)
    (lost,) = installation.claim_builds(dead)
    installation.execute(f"UPDATE builds SET next_attempt_at = 'infinity' WHERE id = {first}")
    installation.expire_leases()

    (taken,) = installation.claim_builds(dead)
    renewed = installation.transactions.run(lambda uow: uow.leases.renew([lost, taken], 60))

    assert (lost.id, taken.id) == (first, second)
    assert list(renewed) == [taken]
    assert held_by(installation) == {second: dead.worker_id}


def test_a_lease_names_its_worker_until_it_is_settled(installation: Installation) -> None:
    (build_id,) = upload_of(installation, "user-1")
    worker = BuildShare()
    (lease,) = installation.claim_builds(worker)
    held = held_by(installation)

    installation.settle(lease, Settlement.again(60))

    assert (held, held_by(installation)) == ({build_id: worker.worker_id}, {})


def test_racing_workers_never_exceed_what_a_user_may_have_in_hand(
    installation: Installation,
) -> None:
    for number in range(3):
        upload_of(installation, f"user-{number}", 5)
    workers = [BuildShare(per_worker=2, per_user=2) for _ in range(10)]

    for _ in range(5):
        race([partial(installation.claim_builds, worker) for worker in workers] * 2)

        of_users = installation.rows(
            "SELECT count(*) AS n FROM builds WHERE lease_until IS NOT NULL GROUP BY user_id"
        )
        of_workers = installation.rows(
            "SELECT count(*) AS n FROM builds WHERE lease_until IS NOT NULL GROUP BY leased_by"
        )
        assert max(row["n"] for row in of_users) <= 2
        assert max(row["n"] for row in of_workers) <= 2
    # Whoever lost a race comes back: in the end everything is taken up that may be.
    installation.claim_builds(BuildShare(per_user=2))
    assert len(installation.rows("SELECT 1 FROM builds WHERE lease_until IS NOT NULL")) == 6


def test_a_worker_that_is_frozen_while_it_claims_holds_up_no_other(
    installation: Installation,
) -> None:
    upload_of(installation, "user-1")

    with installation.pool.connection() as frozen, frozen.transaction():
        frozen.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        meanwhile = installation.claim_builds()

    assert meanwhile == []
    assert len(installation.claim_builds()) == 1


def test_nobody_asks_for_the_lock_while_nothing_is_due(installation: Installation) -> None:
    upload_of(installation, "user-1")
    installation.claim_builds()

    def claim_and_look() -> tuple[list[Lease], int]:
        def work(uow: UnitOfWork) -> tuple[list[Lease], int]:
            leases = list(uow.leases.claim_builds(ENGINE, BuildShare().quota, 10))
            held = installation.rows(_ADVISORY_LOCKS)
            return leases, len(held)

        return installation.transactions.run(work)

    idle = claim_and_look()
    upload_of(installation, "user-2")
    busy = claim_and_look()

    assert idle == ([], 0)
    assert (len(busy[0]), busy[1]) == (1, 1)


def test_of_an_image_one_build_is_in_hand_and_the_earlier_one_comes_first(
    installation: Installation,
) -> None:
    image_id = installation.upload()
    installation.build(image_id)
    # Its public tag is still to be set.
    installation.execute("UPDATE builds SET next_attempt_at = now(), public_tag_set = false")
    installation.rebuild(image_id)
    first, second = (row["id"] for row in installation.rows("SELECT id FROM builds ORDER BY id"))

    (tagging,) = installation.claim_builds()
    meanwhile = installation.claim_builds()
    installation.settle(tagging, Settlement.done())
    (building,) = installation.claim_builds()

    assert (tagging.id, meanwhile, building.id) == (first, [], second)


def test_a_tag_that_cannot_be_set_does_not_keep_a_rebuild_waiting(
    installation: Installation,
) -> None:
    image_id = installation.upload()
    installation.build(image_id)
    installation.execute("UPDATE builds SET next_attempt_at = now(), public_tag_set = false")
    rebuild_id = installation.rebuild(image_id)
    (tagging,) = installation.claim_builds()

    installation.settle(tagging, Settlement.retry(60))

    assert ids(installation.claim_builds()) == [rebuild_id]


def test_a_rebuild_is_made_on_the_engine_that_has_the_build_in_use(
    installation: Installation,
) -> None:
    image_id = installation.ready_image()
    rebuild_id = installation.rebuild(image_id)

    elsewhere = installation.claim_builds(engine_id="engine-2")
    (lease,) = installation.claim_builds()

    assert (elsewhere, lease.id) == ([], rebuild_id)


def test_a_build_that_had_no_success_yet_may_be_repeated_anywhere(
    installation: Installation,
) -> None:
    image_id = installation.upload()

    def fail(build_id: int) -> None:
        def work(uow: UnitOfWork) -> None:
            image, build = uow.images.lock(image_id), uow.builds.lock(build_id)
            build.begin(ENGINE, utc_now())
            image.place_on(ENGINE)
            build.fail("no", LogTail("", truncated=False), utc_now())
            image.record_build_failed(build, utc_now())
            uow.builds.save(build)
            uow.images.save(image)

        installation.transactions.run(work)

    fail(installation.rows("SELECT id FROM builds")[0]["id"])
    rebuild_id = installation.rebuild(image_id)

    assert ids(installation.claim_builds(engine_id="engine-2")) == [rebuild_id]


def held_by(installation: Installation) -> dict[int, object]:
    """Who holds which build."""
    rows = installation.rows(
        "SELECT id, leased_by FROM builds WHERE lease_until IS NOT NULL ORDER BY id"
    )
    return {row["id"]: row["leased_by"] for row in rows}
