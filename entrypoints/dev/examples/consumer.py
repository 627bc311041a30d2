"""A consumer of the lifecycle topics, to copy: takes every event once and in order, heals gaps.

    pip install confluent-kafka
    export KAFKA_BOOTSTRAP_SERVERS=… ORCHESTRATOR_URL=http://… GATEWAY_SECRET=…
    python consumer.py --group service-discovery --store discovery.db container-lifecycle

Delivery is at least once, in the order of each stream (a container or an image), numbered from 1:

    the next sequence    apply it
    a lower or equal one it was delivered before: drop it
    a higher one         something is missing for good: hold the stream, take a snapshot, go on
    a header `replay`    an operator sends history again, to a topic of its own: it may fill what is
                         missing in the history, and never changes what is current

The one rule for offsets: commit them after what they stand for is stored. A crash in between brings
the same messages again, and they are dropped by their sequence. Several instances of one group need
one store, because partitions move from one to another; this one is SQLite, for one instance.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sqlite3
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

State = Mapping[str, Any]

_log = logging.getLogger("consumer")

_REQUIRED = ("KAFKA_BOOTSTRAP_SERVERS", "ORCHESTRATOR_URL")

# What events and the REST api both call by these names.
_CURRENT = ("status", "container_id", "host", "container_ip", "external_port", "app_hostname")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
    stream TEXT, sequence INTEGER, event_id TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (stream, sequence)
);
CREATE TABLE IF NOT EXISTS streams (
    stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL, user_id TEXT NOT NULL,
    state TEXT, on_hold INTEGER NOT NULL
);
"""


def client_settings(bootstrap_servers: str, group: str) -> dict[str, Any]:
    """Return what the promise rests on."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        # A new group begins with the oldest event there is; "latest" would begin with gaps.
        "auto.offset.reset": "earliest",
        # Offsets are committed below, after what they stand for is stored.
        "enable.auto.commit": False,
        # How long the partitions of an instance that crashed wait for another; 45 s unasked.
        "session.timeout.ms": 10_000,
        # The longest that storing one batch, and taking the snapshots it needs, may last.
        "max.poll.interval.ms": 300_000,
        # How soon a topic that is created later is found; 5 min unasked.
        "topic.metadata.refresh.interval.ms": 10_000,
    }


class Store:
    """What is known of every stream; each batch is one transaction."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def transaction(self) -> contextlib.AbstractContextManager[object]:
        """Commit at the end of the block, or roll back at an error."""
        return self._database

    def take(self, stream: str, event: State, *, replayed: bool) -> str:
        """Store one event; return what became of it: applied, held, filled or dropped."""
        sequence: int = event["sequence"]
        new = self._database.execute(
            "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?)",
            (stream, sequence, event["event_id"], json.dumps(event)),
        ).rowcount
        row = self._database.execute(
            "SELECT sequence, on_hold FROM streams WHERE stream = ?", (stream,)
        ).fetchone()
        last, on_hold = row or (0, 0)
        if replayed or sequence <= last:
            return "filled" if new else "dropped"
        if on_hold or sequence > last + 1:
            self._move(stream, event, state=None)
            return "held"
        self._move(stream, event, state=_state_of(event))
        return "applied"

    def on_hold(self) -> list[tuple[str, str]]:
        """Return the streams that wait for a snapshot, each with its user."""
        return self._database.execute(
            "SELECT stream, user_id FROM streams WHERE on_hold"
        ).fetchall()

    def settle(self, stream: str, snapshot: State | None) -> None:
        """Go on from a snapshot taken after the stream's newest event came; None is "gone"."""
        self._database.execute(
            "UPDATE streams SET state = ?, on_hold = 0 WHERE stream = ?",
            (_state_of(snapshot) if snapshot else None, stream),
        )

    def _move(self, stream: str, event: State, *, state: str | None) -> None:
        """Go to this event's sequence; without a state the stream is on hold and keeps its own."""
        self._database.execute(
            "INSERT INTO streams VALUES (:stream, :sequence, :user_id, :state, :state IS NULL)"
            " ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence,"
            " state = coalesce(excluded.state, state), on_hold = excluded.on_hold",
            {**event, "stream": stream, "state": state},
        )


def messages_of(batch: Sequence[Message], missing: set[str]) -> list[Message]:
    """Return what can be stored; a topic that is not there yet is waited for, and told once.

    Args:
        missing: The topics that were told already.

    Raises:
        KafkaException: Anything else is wrong.
    """
    messages = []
    for message in batch:
        error = message.error()
        if error is None:
            messages.append(message)
        elif error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(error)
        elif (topic := message.topic() or "") not in missing:
            missing.add(topic)
            _log.warning("topic %s does not exist: waiting for it", topic)
    return messages


def take_message(store: Store, message: Message) -> str:
    """Store what one message says; return a line on what became of it."""
    headers = dict(message.headers() or [])
    subject = headers["ce_subject"]
    stream = subject.decode() if isinstance(subject, bytes) else str(subject)
    event: State = json.loads(message.value() or b"{}")
    outcome = store.take(stream, event, replayed="replay" in headers)
    return f"{stream} {event['sequence']} {event['event']}: {outcome}"


def snapshot_by_rest(url: str, secret: str, stream: str, user_id: str) -> State | None:
    """Ask the REST api for a stream's present state; None if it is gone."""
    kind, _, number = stream.partition("/")
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{url}/api/{kind}s/{number}",
        headers={"X-User-Id": user_id, "X-Gateway-Secret": secret},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
            found: State = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
        raise


def heal(store: Store, snapshot: Callable[[str, str], State | None]) -> None:
    """Take the snapshots that are needed; what fails is tried again after the next batch."""
    for stream, user_id in store.on_hold():
        try:
            state = snapshot(stream, user_id)
        except OSError as error:
            _log.warning("%s stays on hold: %s", stream, error)
            if isinstance(error, urllib.error.HTTPError):
                continue
            return  # nobody answers
        # A state and its event are recorded together: who asks after the event came sees both.
        with store.transaction():
            store.settle(stream, state)
        _log.info("%s goes on from a snapshot", stream)


def run(
    consumer: Consumer,
    store: Store,
    snapshot: Callable[[str, str], State | None],
    stop: threading.Event,
) -> None:
    """Consume until told to stop."""
    missing: set[str] = set()
    while not stop.is_set():
        messages = messages_of(consumer.consume(500, timeout=1.0), missing)
        with store.transaction():
            lines = [take_message(store, message) for message in messages]
        for line in lines:
            _log.info(line)
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                # A rebalance, say: whoever gets the partition drops what comes again.
                _log.warning("offsets not committed: %s", error)
        heal(store, snapshot)


def _state_of(body: State) -> str:
    return json.dumps({name: body[name] for name in _CURRENT if name in body})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("topics", nargs="+")
    parser.add_argument("--group", required=True)
    parser.add_argument("--store", required=True, help="an SQLite file")
    arguments = parser.parse_args()
    missing = [name for name in _REQUIRED if not os.environ.get(name)]
    if missing:
        parser.error(f"not set: {', '.join(missing)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = client_settings(os.environ["KAFKA_BOOTSTRAP_SERVERS"], arguments.group)
    url, secret = os.environ["ORCHESTRATOR_URL"], os.environ.get("GATEWAY_SECRET", "")
    snapshot = partial(snapshot_by_rest, url, secret)
    try:
        opened = Store(arguments.store)
    except sqlite3.Error as error:
        _log.error("the store %s cannot be opened: %s", arguments.store, error)
        return 1
    consumer = Consumer(settings)
    consumer.subscribe(arguments.topics)
    with contextlib.closing(opened) as store:
        try:
            run(consumer, store, snapshot, stop)
        finally:
            consumer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
