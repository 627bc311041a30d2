"""An event for a topic that nobody has, e.g. a former KAFKA_TOPIC: its stream waits, no other."""

from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.relay.command_harness import run_command
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import (
    Event,
    RelayUnderTest,
    consume,
    count,
    record,
    wait_until,
)
from tests.integration.relay.topics import create_topic

pytestmark = pytest.mark.broker

StartRelay = Callable[..., RelayUnderTest]

_BLOCKED = "SELECT stream, event_id::text, code FROM blocked_streams"


def test_an_event_for_a_topic_that_is_missing_blocks_its_stream_until_it_is_released(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    former = f"former-{topic}"
    stray = Event("container/1", 2, former)
    behind = Event("container/1", 3, topic)
    good = [Event("container/1", 1, topic), *(Event(f"container/{n}", 1, topic) for n in (2, 3))]
    with psycopg.connect(database) as writer:
        record(writer, [*good, stray, behind])

    relay = start_relay()
    line = relay.wait_for("stream blocked")
    consume(broker.bootstrap_servers, topic, good)
    wait_until(lambda: count(database, "outbox") == 2, "the others are published")
    wait_until(relay.ready, "the relay itself is well")
    with psycopg.connect(database) as reader:
        blocked = reader.execute(_BLOCKED).fetchall()
    created = former in _topics(broker)
    _create(broker, former)
    released = run_command("release", "container/1", database=database)
    consume(broker.bootstrap_servers, former, [stray])
    consume(broker.bootstrap_servers, topic, [*good, behind])

    assert (line["stream"], line["code"]) == ("container/1", "UNKNOWN_TOPIC")
    assert blocked == [("container/1", stray.event_id, "UNKNOWN_TOPIC")]
    assert not created
    assert released.code == 0
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")


def test_an_event_for_a_topic_that_is_missing_can_be_skipped(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    stray, behind = Event("container/1", 1, f"former-{topic}"), Event("container/1", 2, topic)
    with psycopg.connect(database) as writer:
        record(writer, [stray, behind])
    start_relay().wait_for("stream blocked")

    skipped = run_command("skip", stray.event_id, "--reason", "former topic", database=database)

    assert skipped.code == 0
    consume(broker.bootstrap_servers, topic, [behind])


def _create(broker: Broker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    create_topic(admin, topic, partitions=1)


def _topics(broker: Broker) -> set[str]:
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    return set(client.list_topics(timeout=10).topics)
