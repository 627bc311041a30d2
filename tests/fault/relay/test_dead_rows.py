"""A snapshot that somebody holds keeps every published row as a dead one; fetches stay cheap."""

import psycopg
import pytest

from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.costs import (
    buffers_without_floor,
    cost_of_a_trickle,
    require_counts_of_sessions,
)
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import wait_until_published
from tests.fault.relay.recording import prepare_streams, write_many
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_DEAD_STREAMS = 90
_DEAD_LENGTH = 1_000
_TRICKLE = _DEAD_STREAMS + 1
_MOST_BUFFERS = 150
_MOST_SECONDS = 0.5


def test_90000_dead_rows_under_a_held_snapshot_leave_fetches_and_latency_as_they_were(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay, note: Note
) -> None:
    require_counts_of_sessions(database)
    prepare_streams(database, _TRICKLE)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    before = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
    with psycopg.connect(database) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT count(*) FROM outbox")
        write_many(database, topic, _DEAD_STREAMS, _DEAD_LENGTH)
        wait_until_published(database, RECOVERY_SECONDS)
        consumer.wait_for(_DEAD_STREAMS * _DEAD_LENGTH, RECOVERY_SECONDS)

        after = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
        without_floor = buffers_without_floor(database)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(
        f"{before}; with {_DEAD_STREAMS * _DEAD_LENGTH} dead rows under a held snapshot {after}; "
        f"one fetch without the floor {without_floor} buffers; {events} events"
    )
    assert without_floor > _MOST_BUFFERS * 5, "the rows are not dead enough to prove anything"
    assert after.buffers < _MOST_BUFFERS
    assert after.seconds < _MOST_SECONDS
