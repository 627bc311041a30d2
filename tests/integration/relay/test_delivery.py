"""What is written reaches Kafka: in order per stream, byte for byte, none left behind."""

from collections.abc import Callable

import psycopg
import pytest

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

# Java's Utils.toPositive(Utils.murmur2(key)) % 12, printed by the class in kafka-clients 4.4.0.
JAVA_PARTITIONS = {
    "1": 3,
    "2": 8,
    "3": 11,
    "7": 3,
    "21": 0,
    "42": 4,
    "100": 9,
    "999": 3,
    "1234": 0,
    "1000000": 11,
    "9223372036854775807": 9,
}


_CONTRADICT = "UPDATE outbox SET key = 'another' WHERE event_id = %(event_id)s"


def test_events_arrive_in_order_with_key_headers_and_payload_as_stored(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=20, length=60)
    with psycopg.connect(database) as writer:
        record(writer, events)

    start_relay()
    messages = consume(broker.bootstrap_servers, topic, events)

    expect_every_event_in_order(messages, events)
    assert len(messages) == len(events)
    stored = {event.payload: event for event in events}
    for message in messages:
        event = stored[message.value() or b""]
        assert message.key() == event.key.encode()
        assert message.headers() == [(name, value.encode()) for name, value in event.header_pairs]
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")
    assert count(database, "events") == len(events)


def test_a_notification_is_not_needed_but_is_heeded_at_once(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    silent, announced = Event("container:1", 1, topic), Event("container:1", 2, topic)

    with psycopg.connect(database) as writer:
        record(writer, [silent])
    wait_until(lambda: count(database, "outbox") == 0, "the poll finds it", seconds=15)
    with psycopg.connect(database, autocommit=True) as writer:
        record(writer, [announced])
        writer.execute("NOTIFY orchestrator_outbox")
    messages = consume(broker.bootstrap_servers, topic, [silent, announced])

    expect_every_event_in_order(messages, [silent, announced])


def test_a_lower_id_that_commits_late_is_still_published(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    late, early = Event("container:1", 1, topic), Event("container:2", 1, topic)
    relay = start_relay()
    with psycopg.connect(database) as slow_writer, psycopg.connect(database) as writer:
        record(slow_writer, [late])
        record(writer, [early])
        writer.commit()
        wait_until(
            lambda: relay.metric("relay_published_events_total") == 1, "the early one is out"
        )

        slow_writer.commit()
        messages = consume(broker.bootstrap_servers, topic, [late, early])

    expect_every_event_in_order(messages, [late, early])
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")


def test_a_hole_left_by_a_rollback_is_no_obstacle(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 1, topic)])
        writer.rollback()
        kept = [Event("container:1", 1, topic), Event("container:1", 2, topic)]
        record(writer, kept)

    start_relay()
    messages = consume(broker.bootstrap_servers, topic, kept)

    expect_every_event_in_order(messages, kept)
    assert len(messages) == len(kept)


def test_the_partition_is_the_one_java_clients_choose(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = [Event(f"image:{key}", 1, topic, key=key) for key in JAVA_PARTITIONS]
    with psycopg.connect(database) as writer:
        record(writer, events)

    start_relay(KAFKA_TOPIC_PARTITIONS="12")
    messages = consume(broker.bootstrap_servers, topic, events)

    chosen = {(message.key() or b"").decode(): message.partition() for message in messages}
    assert chosen == JAVA_PARTITIONS


@pytest.mark.parametrize(
    "bad_headers", ['{"ce_id": "1"}', '[["ce_id", 1]]', '[["ce_id"]]', "null", '"text"']
)
def test_a_malformed_row_stops_its_stream_and_no_other(
    database: str, broker: Broker, topic: str, start_relay: StartRelay, bad_headers: str
) -> None:
    before = Event("container:1", 1, topic)
    bad = Event("container:1", 2, topic, headers=bad_headers)
    behind = Event("container:1", 3, topic)
    others = [Event("container:2", sequence, topic) for sequence in range(1, 30)]
    with psycopg.connect(database) as writer:
        record(writer, [before, bad, behind, *others])

    relay = start_relay(RELAY_BATCH_SIZE="5")
    line = relay.wait_for("stream blocked")
    messages = consume(broker.bootstrap_servers, topic, [before, *others])

    expect_every_event_in_order(messages, [before, *others])
    wait_until(lambda: count(database, "outbox") == 2, "only the bad stream is left")
    assert (line["stream"], line["event_id"]) == (bad.stream, bad.event_id)
    wait_until(lambda: relay.metric("relay_blocked_streams") == 1, "the block is counted")


@pytest.mark.parametrize("name", ["no such topic!", ".", "..", "", "x" * 250])
def test_a_topic_that_kafka_does_not_allow_stops_its_stream_and_no_other(
    database: str, broker: Broker, topic: str, start_relay: StartRelay, name: str
) -> None:
    other = Event("container:2", 1, topic)
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 1, name), other])

    relay = start_relay()
    messages = consume(broker.bootstrap_servers, topic, [other])

    expect_every_event_in_order(messages, [other])
    assert "topic" in relay.wait_for("stream blocked")["detail"]


def test_a_row_that_contradicts_its_ledger_row_stops_its_stream_and_no_other(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    wronged = [Event("container:1", sequence, topic) for sequence in range(1, 4)]
    other = Event("container:2", 1, topic)
    with psycopg.connect(database) as writer:
        record(writer, [*wronged, other])
        writer.execute(_CONTRADICT, {"event_id": wronged[1].event_id})

    relay = start_relay()
    messages = consume(broker.bootstrap_servers, topic, [wronged[0], other])
    wait_until(lambda: count(database, "outbox") == 2, "the rest stays")

    expect_every_event_in_order(messages, [wronged[0], other])
    assert "contradicts" in relay.wait_for("stream blocked")["detail"]


def test_a_message_beyond_the_clients_limit_stops_its_stream_and_no_other(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    huge, behind = Event("container:1", 1, topic, padding=5_000), Event("container:1", 2, topic)
    others = [Event("container:2", sequence, topic) for sequence in range(1, 10)]
    with psycopg.connect(database) as writer:
        record(writer, [huge, behind, *others])

    relay = start_relay(KAFKA_CLIENT_MESSAGE_MAX_BYTES="2000")
    messages = consume(broker.bootstrap_servers, topic, others)

    expect_every_event_in_order(messages, others)
    assert relay.wait_for("stream blocked")["code"] == "MSG_SIZE_TOO_LARGE"
    wait_until(lambda: count(database, "outbox") == 2, "only the bad stream is left")


def test_a_row_that_breaks_the_order_of_its_stream_is_not_sent(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    with psycopg.connect(database) as writer:
        record(writer, [Event("container:1", 2, topic), Event("container:1", 1, topic)])
        other = Event("container:2", 1, topic)
        record(writer, [other])

    relay = start_relay()
    line = relay.wait_for("stream blocked")
    consume(broker.bootstrap_servers, topic, [other])

    assert (line["code"], line["detail"]) == ("OUT_OF_ORDER", "sequence 1 comes after 2")
    wait_until(lambda: count(database, "outbox") == 1, "the late row stays")
