"""A consumer of the lifecycle topic, as service discovery or billing would write it."""

from __future__ import annotations

import json
import time
from typing import Any, Self
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException

_POLL_SECONDS = 0.5

Event = dict[str, Any]


class LifecycleConsumer:
    """Reads a topic from its beginning; events are deduplicated by `event_id`. A context manager.

    Attributes:
        events: what was seen, in the order of arrival, duplicates left out.
        duplicates: how many were left out.
    """

    def __init__(self, bootstrap_servers: str, topic: str = "container-lifecycle") -> None:
        self.events: list[Event] = []
        self.duplicates = 0
        self._seen: set[str] = set()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"lifecycle-{uuid4()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        self._consumer.subscribe([topic])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read_until(self, count: int, timeout_seconds: float) -> list[Event]:
        """Read until `count` different events were seen, or the time is over; returns all seen."""
        deadline = time.monotonic() + timeout_seconds
        while len(self.events) < count and time.monotonic() < deadline:
            self._poll()
        return self.events

    def by_container(self) -> dict[int, list[Event]]:
        """Return what was seen for each container, in the order of arrival."""
        streams: dict[int, list[Event]] = {}
        for event in self.events:
            streams.setdefault(event["id"], []).append(event)
        return streams

    def _poll(self) -> None:
        message = self._consumer.poll(_POLL_SECONDS)
        if message is None:
            return
        if message.error() is not None:
            raise KafkaException(message.error())
        event: Event = json.loads(message.value() or b"null")
        if event["event_id"] in self._seen:
            self.duplicates += 1
            return
        self._seen.add(event["event_id"])
        self.events.append(event)
