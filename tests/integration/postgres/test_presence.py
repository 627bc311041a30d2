"""The leases of a worker that died end soon; those of one that is alive do not."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Self
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres import presence
from adapters.postgres.pool import VANISHED_CLIENT_SECONDS
from adapters.postgres.presence import _LOCK_SEED, _TRY_LOCK_OF, PostgresPresence
from adapters.postgres.signals import Channel
from application.errors import DatabaseUnavailable, LeaseLost
from application.leases import Lease, Settlement, Work
from tests.integration.postgres.installation import ENGINE, BuildShare, Installation
from tests.integration.relay.harness import wait_until

# Twenty times the service's seconds: what passes here by what the database has noted, nobody waits
# for, and however long a busy machine takes between two steps of a test, that much does not pass.
_SLOWER = 20
MISSED_AFTER_SECONDS = _SLOWER * presence.MISSED_AFTER_SECONDS
_TELLING_SECONDS = _SLOWER * presence._TELLING_SECONDS
TOO_LATE_SECONDS = _SLOWER * VANISHED_CLIENT_SECONDS

_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'orchestrator-presence'"


class Worker:
    """What the others see of a worker: its presence and its claims."""

    def __init__(self, installation: Installation) -> None:
        self.id = uuid4()
        self.signals: list[set[Channel]] = []
        self._installation = installation
        self._presence = PostgresPresence(installation.url, self.id, self.signals.append)
        self.pid = 0

    def joined(self) -> Self:
        others = {row["pid"] for row in self._installation.rows(_SESSIONS)}
        self.beat()
        (self.pid,) = {row["pid"] for row in self._installation.rows(_SESSIONS)} - others
        return self

    def beat(self) -> dict[UUID, int]:
        return self._presence.beat()

    def claim(self) -> Lease:
        transactions = self._installation.transactions_of(self.id)
        (lease,) = transactions.run(
            lambda uow: uow.leases.claim_containers(ENGINE, tuple(Work), 10)
        )
        return lease

    def die(self) -> None:
        """End the session, as the kernel does with the process."""
        self.close()
        self.until_missed()

    def until_missed(self) -> None:
        wait_until(
            lambda: self.pid not in {row["pid"] for row in self._installation.rows(_SESSIONS)},
            "the server has missed the session",
            10,
        )

    def close(self) -> None:
        self._presence.close()


@pytest.fixture(autouse=True)
def _slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MISSED_AFTER_SECONDS", MISSED_AFTER_SECONDS)
    monkeypatch.setattr(presence, "_TELLING_SECONDS", _TELLING_SECONDS)


@pytest.fixture
def hire(installation: Installation) -> Iterator[Callable[[], Worker]]:
    with ExitStack() as everybody:
        yield lambda: everybody.enter_context(closing(Worker(installation))).joined()


def let_pass(installation: Installation, seconds: float = 2 * MISSED_AFTER_SECONDS) -> None:
    """Let everybody be silent for so long, by what the database has noted."""
    installation.execute(
        f"UPDATE workers SET joined_at = joined_at - interval '{seconds} s',"
        f" seen_at = seen_at - interval '{seconds} s'"
    )


def let_join(installation: Installation, seconds: float = 2 * MISSED_AFTER_SECONDS) -> None:
    """Let everybody have been there for so much longer, and no longer silent."""
    installation.execute(f"UPDATE workers SET joined_at = joined_at - interval '{seconds} s'")


def workers(installation: Installation) -> set[UUID]:
    return {row["worker_id"] for row in installation.rows("SELECT worker_id FROM workers")}


def leased(installation: Installation) -> list[tuple[str, int]]:
    rows = installation.rows(
        "SELECT 'container' AS kind, id FROM containers WHERE lease_until IS NOT NULL"
        " UNION ALL SELECT 'build', id FROM builds WHERE lease_until IS NOT NULL"
        " UNION ALL SELECT 'image', id FROM images WHERE lease_until IS NOT NULL"
    )
    return [(row["kind"], row["id"]) for row in rows]


def test_what_a_dead_worker_had_in_hand_is_due_at_once(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, other = hire(), hire()
    installation.create(installation.ready_image())
    lost = dead.claim()
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    dead.die()
    let_pass(installation)

    ended = other.beat()

    assert ended == {dead.id: 1}
    assert other.signals == [{Channel.WORK}]
    assert other.claim().id == lost.id
    with pytest.raises(LeaseLost):
        installation.settle(lost, Settlement.done())


def test_a_container_that_was_only_looked_at_is_looked_at_again(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, other = hire(), hire()
    installation.run_container()
    installation.execute("UPDATE containers SET nominated_at = now()")
    assert dead.claim().work is Work.OBSERVE
    dead.die()
    let_pass(installation)

    other.beat()

    assert other.claim().work is Work.OBSERVE


def test_builds_and_removals_of_a_dead_worker_are_due_too(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, other = hire(), hire()
    installation.delete_image(installation.ready_image())
    installation.upload()
    dead_worker = installation.transactions_of(dead.id)
    (removal,) = dead_worker.run(lambda uow: uow.leases.claim_image_removals(ENGINE, 1))
    (build,) = installation.claim_builds(BuildShare(worker_id=dead.id))
    held = leased(installation)
    dead.die()
    let_pass(installation)

    assert other.beat() == {dead.id: 2}
    assert (sorted(held), leased(installation)) == (
        [("build", build.id), ("image", removal.id)],
        [],
    )


def test_a_worker_that_is_silent_but_has_its_session_keeps_what_it_has_in_hand(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    paused, other = hire(), hire()
    installation.create(installation.ready_image())
    lease = paused.claim()
    let_pass(installation, 3_600)

    assert other.beat() == {}
    installation.settle(lease, Settlement.done())


def test_a_worker_that_lost_its_session_a_moment_ago_keeps_what_it_has_in_hand(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    broken, other = hire(), hire()
    installation.create(installation.ready_image())
    lease = broken.claim()
    let_pass(installation)
    broken.beat()
    installation.execute(f"SELECT pg_terminate_backend({broken.pid})")
    broken.until_missed()

    assert other.beat() == {}
    with pytest.raises(DatabaseUnavailable):
        broken.beat()
    broken.beat()
    let_pass(installation)
    assert other.beat() == {}
    installation.settle(lease, Settlement.done())


def test_whoever_has_only_just_come_gives_the_others_time_to_come_back(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    gone = hire()
    installation.create(installation.ready_image())
    gone.claim()
    gone.die()
    let_pass(installation)
    newcomer = hire()

    early = newcomer.beat()
    let_join(installation)

    assert (early, newcomer.beat()) == ({}, {gone.id: 1})


def test_whoever_comes_too_late_does_not_know_what_became_of_a_worker(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    gone = hire()
    installation.create(installation.ready_image())
    lease = gone.claim()
    gone.die()
    let_pass(installation, TOO_LATE_SECONDS)
    newcomer = hire()
    let_join(installation)

    assert newcomer.beat() == {}
    installation.settle(lease, Settlement.done())
    newcomer.beat()
    assert workers(installation) == {newcomer.id}


def test_a_worker_that_is_cut_off_keeps_what_it_has_in_hand_when_the_server_misses_it(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    cut_off, other = hire(), hire()
    installation.create(installation.ready_image())
    lease = cut_off.claim()
    let_pass(installation)
    while_held = other.beat()
    installation.execute(f"SELECT pg_terminate_backend({cut_off.pid})")
    cut_off.until_missed()

    assert (while_held, other.beat(), other.beat()) == ({}, {}, {})
    installation.settle(lease, Settlement.done())


def test_a_worker_that_was_cut_off_and_is_heard_again_is_missed_when_it_dies(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, other = hire(), hire()
    installation.create(installation.ready_image())
    dead.claim()
    let_pass(installation)
    while_held = other.beat()
    dead.beat()
    heard = other.beat()
    dead.die()
    let_pass(installation)

    assert (while_held, heard, other.beat()) == ({}, {}, {dead.id: 1})


def test_whoever_lost_its_own_session_judges_nobody_whom_it_has_not_heard_since(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    paused, other = hire(), hire()
    installation.create(installation.ready_image())
    lease = paused.claim()
    for worker in (paused, other):
        installation.execute(f"SELECT pg_terminate_backend({worker.pid})")
        worker.until_missed()
    with pytest.raises(DatabaseUnavailable):
        other.beat()
    other.beat()
    let_pass(installation)

    assert other.beat() == {}
    installation.settle(lease, Settlement.done())


def test_those_who_look_at_the_same_time_do_not_take_each_other_for_the_dead(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, first, second = hire(), hire(), hire()
    installation.create(installation.ready_image())
    dead.claim()
    dead.die()
    let_pass(installation)

    with psycopg.connect(installation.url) as looking:
        looking.execute(_TRY_LOCK_OF, {"id": dead.id, "seed": _LOCK_SEED})
        assert second.beat() == {dead.id: 1}
    assert first.beat() == {}


def test_a_row_that_somebody_holds_is_left_for_the_next_time(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    dead, other = hire(), hire()
    image_id = installation.ready_image()
    installation.create(image_id, 2)
    transactions = installation.transactions_of(dead.id)
    first, second = transactions.run(
        lambda uow: uow.leases.claim_containers(ENGINE, tuple(Work), 10)
    )
    dead.die()
    let_pass(installation)

    with psycopg.connect(installation.url) as frozen:
        frozen.execute("SELECT FROM containers WHERE id = %s FOR UPDATE", (first.id,))
        assert other.beat() == {dead.id: 1}
        assert leased(installation) == [("container", first.id)]

    assert other.beat() == {dead.id: 1}
    assert other.beat() == {}
    assert (leased(installation), installation.rows("SELECT worker_id FROM workers")) == (
        [],
        [{"worker_id": other.id}],
    )
    assert second.id != first.id


def test_a_worker_that_was_missed_by_mistake_is_back_with_its_next_beat(
    installation: Installation, hire: Callable[[], Worker]
) -> None:
    back, other = hire(), hire()
    installation.execute(f"DELETE FROM workers WHERE worker_id = '{back.id}'")

    back.beat()
    let_pass(installation)

    assert other.beat() == {}
    assert workers(installation) == {
        back.id,
        other.id,
    }
