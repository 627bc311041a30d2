"""What the relay's integration tests stand on: a writer of events, a relay process, a consumer."""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from confluent_kafka import Consumer, Message, TopicPartition

from tests.integration.relay.relay_process import DEADLINE_SECONDS, RelayUnderTest, wait_until

__all__ = [
    "DEADLINE_SECONDS",
    "Event",
    "RelayUnderTest",
    "body_of",
    "consume",
    "count",
    "expect_every_event_in_order",
    "record",
    "sequences_by_stream",
    "streams_of",
    "wait_until",
]

_INSERT_EVENT = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, topic, key, payload,
                    headers, occurred_at)
VALUES (%(event_id)s, %(stream)s, %(sequence)s, 'container.started', '1', 1, %(topic)s, %(key)s,
        %(payload)s, %(headers)s::jsonb, coalesce(%(occurred_at)s::timestamptz, now()))
"""
_INSERT_PENDING = """
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
VALUES (%(event_id)s, %(topic)s, %(key)s, %(stream)s, %(sequence)s, 0)
"""


@dataclass(frozen=True)
class Event:
    """One event as a writer of the service would record it."""

    stream: str
    sequence: int
    topic: str
    key: str = "1"
    padding: int = 0
    headers: str | None = None
    occurred_at: datetime | None = None
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def payload(self) -> bytes:
        body = {"event_id": self.event_id, "sequence": self.sequence, "stream": self.stream}
        timestamp = self.occurred_at and self.occurred_at.isoformat()
        return json.dumps({**body, "timestamp": timestamp, "padding": "x" * self.padding}).encode()

    @property
    def header_pairs(self) -> list[list[str]]:
        return [["ce_specversion", "1.0"], ["ce_id", self.event_id]]


def record(connection: psycopg.Connection, events: Iterable[Event]) -> None:
    """Insert events into ledger and outbox, in the connection's transaction."""
    rows = [
        {
            "event_id": event.event_id,
            "stream": event.stream,
            "sequence": event.sequence,
            "topic": event.topic,
            "key": event.key,
            "payload": event.payload,
            "headers": event.headers or json.dumps(event.header_pairs),
            "occurred_at": event.occurred_at,
        }
        for event in events
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT_EVENT, rows)
        cursor.executemany(_INSERT_PENDING, rows)


def streams_of(topic: str, streams: int, length: int, **extra: Any) -> list[Event]:
    """Return events of several streams, interleaved, each with its sequences from 1."""
    return [
        Event(f"container:{stream}", sequence, topic, key=str(stream % 5), **extra)
        for sequence in range(1, length + 1)
        for stream in range(1, streams + 1)
    ]


def count(database: str, table: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            {"outbox": b"SELECT count(*) FROM outbox", "events": b"SELECT count(*) FROM events"}[
                table
            ]
        ).fetchone()
    assert row is not None
    return int(row[0])


def consume(
    bootstrap_servers: str, topic: str, wanted: Iterable[Event], seconds: float = DEADLINE_SECONDS
) -> list[Message]:
    """Read ``topic`` from its beginning until every wanted event was seen at least once."""
    missing = {event.event_id for event in wanted}
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": str(uuid.uuid4())})
    messages: list[Message] = []
    deadline = time.monotonic() + seconds
    try:
        wait_until(lambda: _partitions(consumer, topic), "the topic exists")
        consumer.assign(_partitions(consumer, topic))
        while missing:
            assert time.monotonic() < deadline, f"{len(missing)} events never came"
            for message in consumer.consume(500, timeout=0.2):
                assert message.error() is None, message.error()
                messages.append(message)
                missing.discard(body_of(message)["event_id"])
    finally:
        consumer.close()
    return messages


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """Return the partitions at their beginning; none while the topic does not exist."""
    found = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    return [TopicPartition(topic, number, 0) for number in found]


def body_of(message: Message) -> dict[str, Any]:
    value = message.value()
    assert value is not None
    body: dict[str, Any] = json.loads(value)
    return body


def sequences_by_stream(messages: Iterable[Message]) -> dict[str, list[int]]:
    """Return what a consumer applies: per stream, the sequences that are the next one.

    A lower sequence is a duplicate and is dropped; a higher one is a gap and fails here.
    """
    applied: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        body = body_of(message)
        sequences = applied[body["stream"]]
        if body["sequence"] > len(sequences):
            sequences.append(body["sequence"])
    return applied


def expect_every_event_in_order(messages: Iterable[Message], written: Sequence[Event]) -> None:
    """Hold what a consumer applied against what was written: gapless from 1, none missing."""
    expected: dict[str, int] = defaultdict(int)
    for event in written:
        expected[event.stream] = max(expected[event.stream], event.sequence)
    assert sequences_by_stream(messages) == {
        stream: list(range(1, last + 1)) for stream, last in expected.items()
    }
