"""Database sessions end while the relay works: the leader's, the one that listens, all of them."""

import time
from statistics import median

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import PROMPTLY_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, write
from tests.fault.relay.sessions import EVERYBODY, LEADER, WAKEUP, end_sessions, is_listening
from tests.fault.relay.sockets import freeze_with_messages_in_flight
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# RELAY_POLL_SECONDS unless told otherwise.
_POLL_SECONDS = 1.0


def test_the_leaders_session_ends_with_messages_in_flight(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    relay = start_relay()
    with start_writers(events=200) as writers:
        writers.wait_until_ended()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    freeze_with_messages_in_flight(mortal_broker, database, topic)
    with start_writers() as writers:
        ended = end_sessions(database, LEADER)
        relay.wait_for("session lost")
        mortal_broker.thaw()
        writers.wait_for_more(200)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, {consumer.duplicates} duplicates")
    assert ended == 1
    assert relay.metric("relay_takeovers_total") >= 2


def test_the_leaders_session_ends_again_and_again_under_load(
    database: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    relay = start_relay(RELAY_BATCH_SIZE="50")
    with start_writers() as writers:
        for _ in range(5):
            consumer.wait_for(consumer.applied + 100, RECOVERY_SECONDS)
            lines = len(relay.lines)
            # It may have none for a moment: what is applied now was sent by the one before.
            wait_until(lambda: end_sessions(database, LEADER) == 1, "its session is ended")
            relay.wait_for("session lost", after=lines)
        writers.stop()

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, {consumer.duplicates} duplicates")


def test_every_session_ends_at_once_under_load(
    database: str, consumer: FollowingConsumer, start_relay: StartRelay, start_writers: StartWriters
) -> None:
    relay, standby = start_relay(), start_relay()
    with start_writers() as writers:
        for _ in range(3):
            wait_until(lambda: relay.ready() and standby.ready(), "both relays are ready")
            writers.wait_for_more(100)
            end_sessions(database, EVERYBODY)
        writers.wait_for_more(100)

    consumer.expect_ledger(database, RECOVERY_SECONDS)


def test_without_notifications_the_poll_finds_everything(
    database: str, consumer: FollowingConsumer, start_relay: StartRelay, start_writers: StartWriters
) -> None:
    start_relay()

    with start_writers(events=500, per_second=300, notify=False) as writers:
        writers.wait_until_ended()

    consumer.expect_ledger(database, PROMPTLY_SECONDS)


def test_the_session_that_listens_ends_and_comes_back(
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    note: Note,
) -> None:
    prepare_streams(database, 1)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    for ended in range(1, 4):
        # One that ends before it listens has nothing to lose.
        wait_until(lambda: is_listening(database), "it listens")
        lines = len(relay.lines)
        assert end_sessions(database, WAKEUP) == 1
        write(database, topic, 1)
        relay.wait_for("notifications lost", after=lines)
        consumer.wait_for(ended, RECOVERY_SECONDS)

    wait_until(lambda: is_listening(database), "it listens again")
    latencies = [_seconds_to_arrive(database, topic, consumer) for _ in range(7)]

    consumer.expect_ledger(database, RECOVERY_SECONDS)
    note(f"{median(latencies):.3f} s from write to consumer, a poll alone takes {_POLL_SECONDS:g}")
    # Each is written just after the one before arrived, when the poll has all of its time to go.
    assert min(latencies) < _POLL_SECONDS / 2


def _seconds_to_arrive(database: str, topic: str, consumer: FollowingConsumer) -> float:
    wanted = consumer.applied + 1
    began = time.monotonic()
    write(database, topic, 1)
    consumer.wait_for(wanted, RECOVERY_SECONDS)
    return time.monotonic() - began
