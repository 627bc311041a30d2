"""A consumer as the contract asks for: next sequence = apply, lower = drop, higher = a gap.

It reads every partition by manual assignment, so no group is rebalanced when the broker restarts,
and it takes nothing on trust: a dropped message must be the very one that was applied, value, key
and headers, and an offset that the broker no longer has is a fault.
"""

import json
import logging
import threading
import time
import uuid
from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import Self, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from tests.fault.relay.ledger import entry_of, recorded, wait_until_published
from tests.integration.relay.harness import wait_until

# While a broker or a topic is away; everything else is a fault.
_PASSING = {
    "UNKNOWN_TOPIC_OR_PART",
    "UNKNOWN_TOPIC_ID",
    "_UNKNOWN_PARTITION",
    "_UNKNOWN_TOPIC",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_FOR_PARTITION",
    "_TRANSPORT",
    "_TIMED_OUT",
}

# A client may never find back to a broker that answers everybody else: one read nothing for 90 s
# after three restarts on a busy machine, of what a new one reads at once. A service is restarted.
_SILENCE_SECONDS = 20.0
_LOG_LINES = 40


class _Kept(logging.Handler):
    """Keeps lines instead of writing them."""

    def __init__(self, lines: deque[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{datetime.now(UTC):%H:%M:%S.%f} {record.getMessage()}")


class FollowingConsumer(threading.Thread):
    """Reads a topic in the background, through whatever happens to the broker, while entered.

    Attributes:
        fault: The first thing that no consumer should see, or None.
        duplicates: How many messages were dropped because their sequence was applied before.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        super().__init__(name=f"consumer of {topic}", daemon=True)
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._ended = threading.Event()
        self._start_over = threading.Event()
        self._applied: dict[str, list[str]] = defaultdict(list)
        self._event_ids: set[str] = set()
        self._offsets: dict[int, int] = {}
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._client_log = logging.Logger(self.name)  # noqa: LOG001 - of this object alone
        self._client_log.addHandler(_Kept(self._log))
        self.fault: str | None = None
        self.duplicates = 0
        self.applied = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def last_of(self, stream: str) -> int:
        """Return the sequence that was applied last of a stream, 0 before the first."""
        return len(self._applied.get(stream, ()))

    def has_applied(self, event_id: str) -> bool:
        """Return whether the event is among those that were applied."""
        return event_id in self._event_ids

    def topic_is_gone(self) -> None:
        """Read from the beginning again: the topic was deleted, and will be made anew."""
        self._start_over.set()
        # From now on nothing that it says of its place is of the topic that is gone.
        wait_until(lambda: self.fault or not self._start_over.is_set(), "it starts over")

    def wait_for(self, events: int, seconds: float) -> None:
        """Wait until this many events were applied, duplicates not counted."""
        try:
            wait_until(lambda: self.fault or self.applied >= events, "they arrive", seconds)
        except AssertionError as exc:
            raise AssertionError(f"{self.applied} of {events} after {seconds:g} s") from exc
        assert self.fault is None, self.fault

    def expect_ledger(self, database: str, seconds: float) -> int:
        """Hold what was applied against the ledger, whose writers have ended.

        Every stream gapless from 1, ascending, none missing; value, key and headers as recorded.

        Args:
            database: Its URL.
            seconds: How long it may take to arrive.

        Returns:
            The number of events.
        """
        expected = recorded(database)
        total = sum(map(len, expected.values()))
        try:
            self.wait_for(total, seconds)
        except AssertionError as exc:
            why = self.fault or f"{total - self.applied} of {total} events never came"
            raise AssertionError(f"{why}; behind: {self._behind(expected)}") from exc
        for stream, entries in expected.items():
            assert self._applied[stream] == entries, f"{stream} differs from the ledger"
        assert self._applied.keys() == expected.keys()
        wait_until_published(database, seconds)
        # Whatever was sent twice lies behind; it must be of the kind that is dropped.
        self.catch_up(seconds)
        assert self.fault is None, self.fault
        assert self.applied == total
        return total

    def catch_up(self, seconds: float) -> None:
        """Wait until everything is read that is in the topic now."""
        client = self._client()
        ends: dict[int, int] = {}

        def told() -> bool:
            ends.update(self._ends(client))
            return bool(ends)

        try:
            # A broker that was restarted may not know for a moment that it leads.
            wait_until(told, "the broker tells where the topic ends", seconds)
        finally:
            client.close()
        wait_until(
            lambda: all(self._offsets.get(number, 0) >= end for number, end in ends.items()),
            "the consumer is at the end",
            seconds,
        )

    def log(self) -> list[str]:
        """Return what its client has logged last, the oldest first."""
        return list(self._log)

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self._read()
        except Exception as exc:  # noqa: BLE001 - told to the test, which runs in another thread
            self.fault = f"the consumer failed: {exc!r}"

    def _ends(self, client: Consumer) -> dict[int, int]:
        """Return the end of each partition; nothing while one of them has no leader."""
        try:
            return {
                each.partition: client.get_watermark_offsets(each, timeout=2)[1]
                for each in self._partitions(client)
            }
        except KafkaException:
            return {}

    def _client(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "reconnect.backoff.max.ms": 500,
            },
            logger=self._client_log,
        )

    def _read(self) -> None:
        """Read on from where it was, or from the beginning; come back to read with a new client."""
        consumer = self._client()
        try:
            partitions: list[TopicPartition] = []
            while not partitions:
                if self._start_over.is_set():
                    self._offsets.clear()
                    # Nothing is read yet: who deletes the topic need not wait for its successor.
                    self._start_over.clear()
                if self._ended.wait(0.1):
                    return
                partitions = self._partitions(consumer)
            consumer.assign(partitions)
            heard_at = time.monotonic()
            while not (self._ended.is_set() or self._start_over.is_set()):
                messages = consumer.consume(500, timeout=0.1)
                for message in messages:
                    self._take(message)
                now = time.monotonic()
                heard_at = now if messages else heard_at
                if now - heard_at > _SILENCE_SECONDS:
                    return
        finally:
            consumer.close()

    def _partitions(self, consumer: Consumer) -> list[TopicPartition]:
        try:
            found = consumer.list_topics(self._topic, timeout=2).topics[self._topic]
        except KafkaException:
            return []
        return [
            TopicPartition(self._topic, number, self._offsets.get(number, 0))
            for number in found.partitions
        ]

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.name() not in _PASSING and self.fault is None:
                self.fault = f"{error.name()}: {error.str()}"
            return
        self._judge(message)
        self._offsets[message.partition() or 0] = (message.offset() or 0) + 1

    def _judge(self, message: Message) -> None:
        value = message.value() or b""
        body = json.loads(value)
        pairs = cast("list[tuple[str, bytes | None]]", message.headers() or [])
        headers = [(name, _text(header)) for name, header in pairs]
        # The service's own events name their stream in a header alone.
        stream = str(body.get("stream") or dict(headers)["ce_subject"])
        sequence = body["sequence"]
        entry = entry_of(body["event_id"], value, _text(message.key()), headers)
        applied = self._applied[stream]
        if sequence == len(applied) + 1:
            applied.append(entry)
            self._event_ids.add(body["event_id"])
            self.applied += 1
        elif sequence > len(applied) + 1:
            self._complain(f"gap: {stream} goes from {len(applied)} to {sequence}")
        elif applied[sequence - 1] == entry:
            self.duplicates += 1
        else:
            self._complain(f"{stream} has two events of sequence {sequence}")

    def _complain(self, fault: str) -> None:
        self.fault = self.fault or fault

    def _behind(self, expected: dict[str, list[str]]) -> str:
        behind = {
            stream: f"{self.last_of(stream)} of {len(entries)}"
            for stream, entries in expected.items()
            if self.last_of(stream) < len(entries)
        }
        return str(dict(list(behind.items())[:5]))


def _text(data: str | bytes | None) -> str | None:
    return data.decode() if isinstance(data, bytes) else data
