"""Who has the lock, and when its session is ended: not at the first look, nor after a sign of life.

How long a leader may be silent is a constant; here it is zero, so that nobody has to wait for it
and two looks without a sign between them are enough.
"""

from collections.abc import Iterator

import psycopg
import pytest

from relay import leadership
from relay.leadership import Leadership, open_session
from tests.integration.relay.harness import wait_until

_ALIVE = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"


@pytest.fixture
def leader(database: str) -> Iterator[psycopg.Connection]:
    """A session that has the lock."""
    with open_session(database, "leader") as session:
        assert Leadership(session).try_acquire()
        yield session


@pytest.fixture
def standby(
    database: str, leader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Leadership]:
    monkeypatch.setattr(leadership, "_STALE_SECONDS", 0.0)
    with open_session(database, "standby") as session:
        yield Leadership(session)


def test_a_leader_is_not_ended_at_the_first_look(
    leader: psycopg.Connection, standby: Leadership
) -> None:
    acquired = standby.try_acquire()

    assert not acquired
    assert leader.execute("SELECT 1").fetchone() == (1,)


def test_a_leader_that_gave_a_sign_of_life_between_two_looks_is_not_ended(
    leader: psycopg.Connection, standby: Leadership
) -> None:
    for _ in range(3):
        standby.try_acquire()
        leader.execute("SELECT 1")

    assert leader.execute("SELECT 1").fetchone() == (1,)


def test_a_leader_that_gave_none_is_ended_and_followed(
    database: str, leader: psycopg.Connection, standby: Leadership
) -> None:
    standby.try_acquire()
    standby.try_acquire()

    pid = leader.info.backend_pid
    with psycopg.connect(database, autocommit=True) as observer:
        wait_until(
            lambda: observer.execute(_ALIVE, [pid]).fetchone() == (0,), "the session is ended"
        )
    assert standby.try_acquire()
    with pytest.raises(psycopg.OperationalError):
        leader.execute("SELECT 1")


def test_a_leader_that_the_server_works_for_is_not_ended(
    database: str, leader: psycopg.Connection, standby: Leadership
) -> None:
    pid = leader.info.backend_pid
    with (
        psycopg.connect(database, autocommit=True) as observer,
        psycopg.connect(database) as writer,
        leader.pipeline(),
    ):
        writer.execute("LOCK TABLE outbox")
        leader.execute("SELECT count(*) FROM outbox")
        # Until the server has read it, the leader looks like one that hangs.
        wait_until(lambda: observer.execute(_WAITS, [pid]).fetchone() == (1,), "it waits")
        for _ in range(3):
            standby.try_acquire()
        writer.commit()

    assert leader.execute("SELECT 1").fetchone() == (1,)
