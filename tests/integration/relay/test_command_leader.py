"""Operator commands beside a relay that leads: it heeds them without being spoken to."""

import uuid
from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.relay.command_harness import Row, record, run_command, write
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import RelayUnderTest, count, wait_until
from tests.integration.relay.topics import create_topic

pytestmark = pytest.mark.broker

StartRelay = Callable[..., RelayUnderTest]

_HORIZON = "SELECT id FROM ledger_horizon"


def blocked_stream(database: str, topic: str, relay: RelayUnderTest) -> list[Row]:
    """Record three events of a stream whose first one is too large for the relay's client."""
    rows = [Row(1, 1, topic=topic, padding=5_000), Row(1, 2, topic=topic), Row(1, 3, topic=topic)]
    record(database, *rows, pending=True, horizon=False)
    relay.wait_for("stream blocked")
    return rows


def test_after_a_skip_the_rest_of_the_stream_is_published(
    database: str, topic: str, start_relay: StartRelay
) -> None:
    relay = start_relay(KAFKA_CLIENT_MESSAGE_MAX_BYTES="2000")
    large, *_ = blocked_stream(database, topic, relay)

    listed = run_command("blocked", database=database)
    ended = run_command("skip", large.event_id, "--reason", "too large", database=database)

    assert listed.values["event_id"] == large.event_id
    assert (listed.values["code"], listed.values["behind"]) == ("MSG_SIZE_TOO_LARGE", "2")
    assert ended.code == 0, ended
    wait_until(lambda: count(database, "outbox") == 0, "the rest is published")
    # What is deleted is counted afterwards.
    wait_until(lambda: relay.metric("relay_published_events_total") == 2, "both are counted")
    wait_until(lambda: relay.metric("relay_blocked_streams") == 0, "nothing is blocked")


def test_a_release_is_tried_by_whoever_leads(
    database: str, topic: str, start_relay: StartRelay
) -> None:
    narrow = start_relay(KAFKA_CLIENT_MESSAGE_MAX_BYTES="2000")
    blocked_stream(database, topic, narrow)
    seen = len(narrow.lines)

    run_command("release", "container/1", database=database)
    again = narrow.wait_for("stream blocked", after=seen)
    narrow.kill()
    wide = start_relay()
    wide.wait_for("leading")
    run_command("release", "container/1", database=database)

    assert again["stream"] == "container/1"
    wait_until(lambda: count(database, "outbox") == 0, "all of it is published")
    wait_until(lambda: wide.metric("relay_published_events_total") == 3, "all are counted")


def test_a_replay_waits_for_the_horizon_of_the_relay(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    target = f"replayed-{uuid.uuid4()}"
    create_topic(admin, target, partitions=1)
    arguments = ("replay", "--user", "user-1", "--to-topic", target)
    servers = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    relay = start_relay()

    with psycopg.connect(database) as slow_writer:
        write(slow_writer, [Row(1, 1, topic=topic)])
        record(database, Row(2, 1, topic=topic), pending=True, horizon=False)
        wait_until(
            lambda: relay.metric("relay_published_events_total") == 1, "the early one is out"
        )
        too_soon = run_command(*arguments, database=database, **servers)
    wait_until(lambda: horizon(database) == 2, "the horizon moves on")
    ended = run_command(*arguments, database=database, **servers)

    assert (too_soon.code, too_soon.out) == (1, ""), too_soon
    assert "above the ledger's horizon" in too_soon.err
    assert (ended.code, ended.values["events"]) == (0, "2"), ended


def horizon(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(_HORIZON).fetchone()
    assert row is not None
    return int(row[0])
