"""PostgreSQL restarts while the relay is in the middle of a batch."""

from collections.abc import Iterator

import psycopg
import pytest

from entrypoints.dev.postgres import Postgres
from migrations.runner import migrate
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import horizon
from tests.integration.relay.harness import RelayUnderTest, wait_until

pytestmark = pytest.mark.broker

_KEEP_WHAT_IS_COMMITTED = "ALTER DATABASE postgres SET synchronous_commit = on"


_NEWEST_DEALT_OUT = "SELECT last_value FROM events_id_seq"
_BELOW_HORIZON = "SELECT id FROM events WHERE id <= (SELECT id FROM ledger_horizon)"


@pytest.fixture
def forgetful_postgres() -> Iterator[Postgres]:
    """A server that answers a commit before it has written it: a crash forgets the last ones."""
    with Postgres() as server:
        migrate(server.url)
        yield server


@pytest.fixture
def own_postgres(forgetful_postgres: Postgres) -> Postgres:
    """A server that keeps what it has committed."""
    with psycopg.connect(forgetful_postgres.url, autocommit=True) as connection:
        connection.execute(_KEEP_WHAT_IS_COMMITTED)
    return forgetful_postgres


@pytest.fixture
def database(forgetful_postgres: Postgres) -> str:
    return forgetful_postgres.url


@pytest.mark.parametrize("crash", [False, True], ids=["in-order", "crash"])
def test_a_database_that_restarts_again_and_again_under_load_costs_nothing_but_repeats(
    crash: bool,  # noqa: FBT001 - a parameter of the test
    database: str,
    own_postgres: Postgres,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    start_relay(RELAY_BATCH_SIZE="50")
    with start_writers() as writers:
        for _ in range(3):
            consumer.wait_for(consumer.applied + 200, RECOVERY_SECONDS)
            own_postgres.restart(crash=crash)
        consumer.wait_for(consumer.applied + 200, RECOVERY_SECONDS)
        writers.stop()

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, 0 lost, {consumer.duplicates} duplicates")


def test_notifications_that_are_lost_for_a_while_are_told_once(
    own_postgres: Postgres, start_relay: StartRelay
) -> None:
    relay = start_relay()
    relay.wait_for("leading")
    own_postgres.halt()
    try:
        wait_until(lambda: _lines(relay, "session lost") >= 5, "the session was tried five times")
    finally:
        own_postgres.start()

    relay.wait_for("notifications are back")
    assert _lines(relay, "notifications lost") == 1


def _lines(relay: RelayUnderTest, event: str) -> int:
    return [line["event"] for line in relay.lines].count(event)


@pytest.mark.parametrize("failpoint", ["mid-produce", "after-acks"])
def test_a_database_that_restarts_in_the_middle_of_a_batch_costs_nothing_but_repeats(
    failpoint: str,
    database: str,
    own_postgres: Postgres,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    with start_writers(events=1_000) as writers:
        writers.wait_until_ended()
    relay = start_relay(RELAY_FAILPOINTS=f"{failpoint}=hang@2", RELAY_BATCH_SIZE="100")
    wait_until(lambda: relay.paused, "the relay hangs in the middle of a batch")

    own_postgres.restart()
    relay.resume()
    relay.wait_for("session lost")
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, 0 lost, {consumer.duplicates} duplicates")


def test_what_the_horizon_told_outlives_a_crash_of_a_database_that_forgets(
    database: str,
    forgetful_postgres: Postgres,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    start_relay()
    told = 0
    with start_writers():
        for _ in range(5):
            _wait_for_horizon(database, told + 100)
            told, seen = horizon(database), _ids(database, _BELOW_HORIZON)
            forgetful_postgres.restart(crash=True)

            # What a reader was shown is there, and no event to come has a number that it passed.
            assert seen <= _ids(database, "SELECT id FROM events")
            assert horizon(database) >= told
            assert min(_ids(database, _NEWEST_DEALT_OUT)) >= told
        _wait_for_horizon(database, told + 100)

    note(f"{told} events and 5 crashes: none at or below the horizon was forgotten")


def _wait_for_horizon(database: str, at_least: int) -> None:
    wait_until(lambda: horizon(database) >= at_least, "the horizon moves on", RECOVERY_SECONDS)


def _ids(database: str, query: str) -> set[int]:
    with psycopg.connect(database) as reader:
        return {id_ for (id_,) in reader.execute(query.encode())}
