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
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# The server for tests answers a commit before it has written it, which a crash of its own shows.
_KEEP_WHAT_IS_COMMITTED = "ALTER DATABASE postgres SET synchronous_commit = on"


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(_KEEP_WHAT_IS_COMMITTED)
        yield server


@pytest.fixture
def database(own_postgres: Postgres) -> str:
    return own_postgres.url


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
