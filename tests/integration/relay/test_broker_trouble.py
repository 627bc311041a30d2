"""Trouble with Kafka pauses everything, is shown in readiness, and loses nothing."""

import time
from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from entrypoints.dev import kafka
from tests.integration.relay import topics
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import (
    Event,
    RelayUnderTest,
    consume,
    count,
    expect_every_event_in_order,
    record,
    streams_of,
    wait_until,
)

pytestmark = pytest.mark.broker

StartRelay = Callable[..., RelayUnderTest]

# The leader gives one at least every quarter of a second.
_SIGNS_OF_LIFE = 12
_LAST_SIGN = """
SELECT state_change FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-relay candidate %'
"""
_END_LEADER = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-relay candidate %'
"""


def test_a_broker_that_is_away_is_waited_for_and_shown_as_unready(
    database: str, mortal_broker: kafka.Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=10, length=20)
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=mortal_broker.bootstrap_servers)
    wait_until(relay.ready, "the relay is ready")
    mortal_broker.kill()
    try:
        with psycopg.connect(database) as writer:
            record(writer, events)
        code, unready = relay.wait_until_told('"broker":"_TRANSPORT')
    finally:
        mortal_broker.start()

    messages = consume(mortal_broker.bootstrap_servers, topic, events)

    assert code == 503
    assert '"database":"ok"' in unready
    expect_every_event_in_order(messages, events)
    wait_until(relay.ready, "the relay is ready again")
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")


def test_a_broker_that_hangs_is_warned_about_once_and_so_is_its_return(
    database: str, mortal_broker: kafka.Broker, topic: str, start_relay: StartRelay
) -> None:
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=mortal_broker.bootstrap_servers)
    wait_until(relay.ready, "the relay is ready")
    mortal_broker.freeze()
    try:
        with psycopg.connect(database) as writer:
            record(writer, [Event("container:1", 1, topic)])
        stalled = relay.wait_for("publishing stalled")
        code, _ = relay.wait_until_told('"publishing":"the broker has acknowledged nothing for ')
    finally:
        mortal_broker.thaw()

    relay.wait_for("publishing goes on")
    wait_until(relay.ready, "the relay is ready again")
    assert (stalled["level"], stalled["under_way"]) == ("warning", 1)
    assert code == 503
    assert [line["event"] for line in relay.lines].count("publishing stalled") == 1


def test_a_leader_that_waits_for_the_broker_notices_that_its_session_is_gone(
    database: str, mortal_broker: kafka.Broker, topic: str, start_relay: StartRelay
) -> None:
    event = Event("container:1", 1, topic)
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=mortal_broker.bootstrap_servers)
    wait_until(relay.ready, "the relay is ready")
    mortal_broker.kill()
    try:
        with psycopg.connect(database) as writer:
            record(writer, [event])
            writer.commit()
            writer.execute(_END_LEADER)
        relay.wait_for("session lost")
    finally:
        mortal_broker.start()

    messages = consume(mortal_broker.bootstrap_servers, topic, [event])

    expect_every_event_in_order(messages, [event])


def test_sigterm_while_the_broker_is_away_ends_the_relay_within_five_seconds(
    database: str, mortal_broker: kafka.Broker, topic: str, start_relay: StartRelay
) -> None:
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=mortal_broker.bootstrap_servers)
    wait_until(relay.ready, "the relay is ready")
    mortal_broker.kill()
    try:
        with psycopg.connect(database) as writer:
            record(writer, streams_of(topic, streams=10, length=20))
        wait_until(lambda: not relay.ready(), "readiness shows it")

        code, seconds = relay.terminate()
    finally:
        mortal_broker.start()

    assert (code, seconds < 5) == (0, True), seconds
    assert count(database, "outbox") == 200


def test_a_client_whose_queue_is_full_is_waited_for_without_computing(
    database: str, mortal_broker: kafka.Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=10, length=200)
    relay = start_relay(
        KAFKA_BOOTSTRAP_SERVERS=mortal_broker.bootstrap_servers,
        KAFKA_CLIENT_QUEUE_BUFFERING_MAX_MESSAGES="50",
    )
    wait_until(relay.ready, "the relay is ready")
    mortal_broker.freeze()
    try:
        with psycopg.connect(database) as writer:
            record(writer, events)
        wait_until(lambda: relay.metric("relay_pending_events") == 2_000, "they are pending")
        began, computed = time.monotonic(), relay.cpu_seconds
        _see_signs_of_life(database)
        share = (relay.cpu_seconds - computed) / (time.monotonic() - began)
    finally:
        mortal_broker.thaw()

    messages = consume(mortal_broker.bootstrap_servers, topic, events)

    expect_every_event_in_order(messages, events)
    assert share < 0.3


def test_a_missing_topic_is_waited_for_and_shown_as_unready(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    event = Event("container:1", 1, topic)
    with psycopg.connect(database) as writer:
        record(writer, [event])
    relay = start_relay(KAFKA_CREATE_TOPICS="false")
    relay.wait_for("publishing paused")
    # A broker that takes its time is waited for before, and told of first.
    code, _ = relay.wait_until_told(f"topic {topic} is missing")

    start_relay().wait_for("standing by")
    # The second relay may create topics.
    relay.kill()
    messages = consume(broker.bootstrap_servers, topic, [event])

    assert code == 503
    expect_every_event_in_order(messages, [event])


def test_a_message_too_large_for_its_topic_blocks_its_stream_and_no_other(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    large, behind = Event("container:9", 1, topic, padding=3_000), Event("container:9", 2, topic)
    good = streams_of(topic, streams=3, length=4)
    limit_messages(broker, topic, 1_000)
    with psycopg.connect(database) as writer:
        record(writer, [*good[:5], large, behind, *good[5:]])

    relay = start_relay()
    line = relay.wait_for("stream blocked")
    before = consume(broker.bootstrap_servers, topic, good)
    wait_until(lambda: count(database, "outbox") == 2, "only the blocked stream is left")
    limit_messages(broker, topic, 100_000)
    with psycopg.connect(database) as operator:
        operator.execute("DELETE FROM blocked_streams")
    noticed = relay.wait_for("stream released or its event skipped")
    after = consume(broker.bootstrap_servers, topic, [*good, large, behind])

    assert (line["code"], line["stream"]) == ("MSG_SIZE_TOO_LARGE", large.stream)
    assert noticed["stream"] == large.stream
    expect_every_event_in_order(before, good)
    expect_every_event_in_order(after, [*good, large, behind])
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")


def test_a_long_backlog_behind_a_message_too_large_holds_up_no_other_stream(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    large = Event("container:9", 1, topic, padding=3_000)
    # More than may be under way together.
    behind = [Event("container:9", sequence, topic) for sequence in range(2, 40)]
    good = streams_of(topic, streams=3, length=4)
    limit_messages(broker, topic, 1_000)
    with psycopg.connect(database) as writer:
        record(writer, [large, *behind, *good])

    relay = start_relay(RELAY_BATCH_SIZE="5")
    messages = consume(broker.bootstrap_servers, topic, good)

    expect_every_event_in_order(messages, good)
    assert relay.wait_for("stream blocked")["stream"] == large.stream
    wait_until(lambda: count(database, "outbox") == 1 + len(behind), "only the blocked is left")


def test_a_batch_of_messages_that_are_all_too_large_blocks_each_of_their_streams(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=3, length=2, padding=3_000)
    limit_messages(broker, topic, 1_000)
    with psycopg.connect(database) as writer:
        record(writer, events)

    relay = start_relay()
    wait_until(lambda: relay.metric("relay_blocked_streams") == 3, "all three are blocked")

    wait_until(relay.ready, "the relay itself is well")
    assert count(database, "outbox") == len(events)


def _see_signs_of_life(database: str) -> None:
    """Return when the leader has used its session some times more."""
    seen: set[object] = set()
    with psycopg.connect(database, autocommit=True) as observer:

        def enough() -> bool:
            seen.update(observer.execute(_LAST_SIGN).fetchall())
            return len(seen) > _SIGNS_OF_LIFE

        wait_until(enough, "the leader gives signs of life")


def limit_messages(broker: Broker, topic: str, max_bytes: int) -> None:
    """Create the topic, unless it is there, and set its largest message."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    if topic not in admin.list_topics(timeout=10).topics:
        topics.create_topic(admin, topic, {"max.message.bytes": str(max_bytes)}, partitions=2)
        return
    topics.limit_messages(admin, topic, max_bytes)
