"""What the relay's integration tests stand on: a writer of events, a relay process, a consumer."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from confluent_kafka import Consumer, Message, TopicPartition

DEADLINE_SECONDS = 30.0

_INSERT_EVENT = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, topic, key, payload,
                    headers, occurred_at)
VALUES (%(event_id)s, %(stream)s, %(sequence)s, 'container.started', '1', 1, %(topic)s, %(key)s,
        %(payload)s, %(headers)s::jsonb, now())
"""
_INSERT_PENDING = """
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
VALUES (%(event_id)s, %(topic)s, %(key)s, %(stream)s, %(sequence)s, 0)
"""


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Ask again and again until the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        pause.wait(0.05)


@dataclass(frozen=True)
class Event:
    """One event as a writer of the service would record it."""

    stream: str
    sequence: int
    topic: str
    key: str = "1"
    padding: int = 0
    headers: str | None = None
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def payload(self) -> bytes:
        body = {"event_id": self.event_id, "sequence": self.sequence, "stream": self.stream}
        return json.dumps({**body, "padding": "x" * self.padding}).encode()

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


class RelayUnderTest:
    """``python -m relay`` as a process of its own, its log lines parsed as they come."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "relay"],
            cwd=Path(__file__).parents[3],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def wait_for(self, event: str, *, after: int = 0) -> dict[str, Any]:
        """Return the first log line of this name beyond the first ``after`` lines."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found.extend(line for line in self.lines[after:] if line["event"] == event)
            return bool(found)

        wait_until(seen, f"the relay logs {event!r}")
        return found[0]

    def get(self, path: str) -> tuple[int, str]:
        port = self.wait_for("relay started")["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def metric(self, name: str) -> float:
        """Return the sum of a series over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        values = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in values)

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and how many seconds it took."""
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(DEADLINE_SECONDS)
        return code, time.monotonic() - started

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(json.loads(line))


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
