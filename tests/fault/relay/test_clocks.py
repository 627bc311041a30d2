"""Clocks go backwards: the application's, and the database's. Sequences do not."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, raise_and_record, writing_session
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_STREAMS = 5
_EVENTS = 40
# The newest events are from the future, as the database sees it once its clock was set back.
_SET_BACK = """
UPDATE events SET recorded_at = recorded_at + interval '1 day' - sequence * interval '1 minute'
"""


def test_an_application_whose_clock_is_set_back_keeps_the_order_of_its_sequences(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    start_relay(RELAY_BATCH_SIZE="20")

    _write_backwards(database, topic)

    assert consumer.expect_ledger(database, RECOVERY_SECONDS) == _STREAMS * _EVENTS


def test_a_database_whose_clock_is_set_back_keeps_the_order_of_its_sequences(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    _write_backwards(database, topic)
    with psycopg.connect(database) as connection:
        connection.execute(_SET_BACK)

    relay = start_relay(RELAY_BATCH_SIZE="20")
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    wait_until(lambda: relay.metric("relay_published_events_total") == events, "all are counted")
    assert relay.metric("relay_commit_to_ack_seconds_count") == events
    assert relay.metric("relay_commit_to_ack_seconds_sum") >= 0
    assert relay.metric("relay_oldest_pending_age_seconds") >= 0
    wait_until(relay.ready, "the relay is ready")


def _write_backwards(database: str, topic: str) -> None:
    prepare_streams(database, _STREAMS)
    now = datetime.now(UTC)
    with writing_session(database) as writer:
        for turn in range(_EVENTS):
            for aggregate in range(1, _STREAMS + 1):
                told = now - timedelta(minutes=turn)
                raise_and_record(writer, topic, aggregate, occurred_at=told)
            writer.commit()
