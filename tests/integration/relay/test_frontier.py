"""The facts that the frontier's proof rests on hold in PostgreSQL; the horizon follows them."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from relay.frontier import Frontier, read_frontiers
from tests.integration.relay.harness import Event, record
from tests.integration.relay.relay_process import RelayUnderTest, wait_until

_SERIALS = """
SELECT relname::text, seqcache
FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
WHERE relname IN ('outbox_id_seq', 'events_id_seq')
"""
_INSERT_PENDING = """
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
VALUES (%(event_id)s, 'topic', '1', 'container:1', 1, 0)
"""


@pytest.fixture
def session(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


class Follower:
    """Both frontiers, after as many readings as were asked for."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._session = session
        self.outbox, self.events = Frontier(), Frontier()

    def look(self, times: int = 2) -> tuple[int, int]:
        for _ in range(times):
            outbox, events = read_frontiers(self._session)
            self.outbox.observe(outbox)
            self.events.observe(events)
        return self.outbox.decided, self.events.decided


def highest_ids(session: psycopg.Connection) -> tuple[int, int]:
    row = session.execute(
        "SELECT (SELECT max(id) FROM outbox), (SELECT max(id) FROM events)"
    ).fetchone()
    assert row is not None
    return row


def test_no_session_keeps_ids_for_later(session: psycopg.Connection) -> None:
    assert dict(session.execute(_SERIALS).fetchall()) == {"outbox_id_seq": 1, "events_id_seq": 1}


def test_of_an_empty_database_nothing_is_decided(session: psycopg.Connection) -> None:
    assert Follower(session).look() == (0, 0)


def test_ids_that_a_restart_passed_over_are_decided_before_the_next_is_drawn(
    database: str, session: psycopg.Connection
) -> None:
    """As an operator's command does after a restored backup: nothing may be written for days."""
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 1, "topic")])
    session.execute("ALTER TABLE outbox ALTER COLUMN id RESTART WITH 501")
    session.execute("ALTER TABLE events ALTER COLUMN id RESTART WITH 901")
    follower = Follower(session)

    idle = follower.look()
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 2, "topic")])
        while_open = follower.look(3)

    assert idle == (500, 900)
    assert while_open == (500, 900)
    assert follower.look() == highest_ids(session) == (501, 901)


def test_what_an_open_transaction_wrote_is_undecided_until_it_is_over(
    database: str, session: psycopg.Connection
) -> None:
    follower = Follower(session)
    with psycopg.connect(database) as slow, psycopg.connect(database) as quick:
        record(quick, [Event("container:1", 1, "topic")])
        quick.commit()
        before = highest_ids(session)
        decided_before = follower.look()
        record(slow, [Event("container:2", 1, "topic")])
        record(quick, [Event("container:1", 2, "topic")])
        quick.commit()
        while_open = follower.look(5)

        slow.commit()
        after = follower.look()

    assert decided_before == before
    assert all(low <= high for low, high in zip(while_open, before, strict=True))
    assert after == highest_ids(session)


def test_a_rollback_decides_like_a_commit(database: str, session: psycopg.Connection) -> None:
    follower = Follower(session)
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 1, "topic")])
        while_open = follower.look(3)

        writer.rollback()

    assert while_open == (0, 0)
    assert follower.look() == (1, 1)


def test_who_has_drawn_an_id_is_seen_before_its_insert_has_ended(
    database: str, session: psycopg.Connection
) -> None:
    event = Event("container:1", 1, "topic")
    with psycopg.connect(database) as writer:
        record(writer, [event])
    session.execute("TRUNCATE outbox RESTART IDENTITY")
    follower = Follower(session)
    with (
        psycopg.connect(database) as blocker,
        psycopg.connect(database, autocommit=True) as writer,
    ):
        # The row has its id when the insert looks for its event, which this makes it wait for.
        blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        with writer.pipeline():
            writer.execute(_INSERT_PENDING, {"event_id": event.event_id})
            wait_until(lambda: read_frontiers(session)[0].last_id == 1, "the id is drawn")
            while_waiting = follower.look(3)[0]
            blocker.rollback()

    assert while_waiting == 0
    assert follower.look()[0] == 1


def test_nobody_else_holds_it_up(
    database: str, new_database: Callable[[], str], session: psycopg.Connection
) -> None:
    with (
        psycopg.connect(database) as reader,
        psycopg.connect(database) as other_table,
        psycopg.connect(new_database()) as other_database,
        psycopg.connect(database) as writer,
    ):
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM outbox JOIN events USING (event_id)")
        other_table.execute("INSERT INTO hostnames (hostname, user_id) VALUES ('a.example', '1')")
        record(other_database, [Event("container:1", 1, "topic")])
        record(writer, [Event("container:1", 1, "topic")])
        writer.commit()

        decided = Follower(session).look()

    assert decided == highest_ids(session)


@pytest.mark.broker
def test_the_leader_stores_a_horizon_that_no_open_transaction_is_below(
    database: str,
    session: psycopg.Connection,
    topic: str,
    start_relay: Callable[..., RelayUnderTest],
) -> None:
    def horizon() -> int:
        row = session.execute("SELECT id FROM ledger_horizon").fetchone()
        assert row is not None
        return int(row[0])

    relay = start_relay()
    with psycopg.connect(database) as slow, psycopg.connect(database) as quick:
        record(quick, [Event("container:1", 1, topic)])
        quick.commit()
        wait_until(lambda: horizon() == 1, "the first event is below the horizon")
        record(slow, [Event("container:2", 1, topic)])
        record(quick, [Event("container:1", number, topic) for number in range(2, 20)])
        quick.commit()
        wait_until(
            lambda: relay.metric("relay_published_events_total") == 19, "all but one are published"
        )
        while_open = horizon()

        slow.commit()

    wait_until(lambda: horizon() == 20, "the horizon passes the late one")
    assert while_open == 1
    # What is stored is told afterwards.
    wait_until(lambda: relay.metric("relay_ledger_horizon") == 20, "the gauge tells it")
