"""Sends what is pending with the relay's client settings, all of it acknowledged, and no more.

It holds the messages in memory, hands one after the other to the client, lets it report after
every batch, and waits for acknowledgements only at the end: as fast as the client goes.

``python -m tests.benchmarks.relay.raw_produce BATCH_SIZE EVENTS`` prints ``{"rate": …}``.
"""

import json
import os
import sys
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from relay.leadership import open_session
from relay.pending_event import PendingEvent
from relay.serve import _relax_garbage_collection
from relay.settings import read_settings
from tests.benchmarks.relay.raw_fetch import batches
from tests.benchmarks.relay.stage import LOG_ERRORS

_READ_BATCH = 5_000
_WARM_UP = 1_000


class Sender:
    """A client, and how many messages were acknowledged."""

    def __init__(self) -> None:
        options = read_settings(os.environ).client_options()
        self._client = Producer({**options, "log_level": LOG_ERRORS})
        self._acknowledged = 0

    def send(self, events: Sequence[PendingEvent], batch_size: int) -> float:
        """Send all of them; return how many were acknowledged a second."""
        self._acknowledged = 0
        began = time.perf_counter()
        for first in range(0, len(events), batch_size):
            for event in events[first : first + batch_size]:
                self._hand_over(event)
            self._client.poll(0)
        self._client.flush()
        ended = time.perf_counter()
        if self._acknowledged != len(events):
            sys.exit(f"{self._acknowledged} of {len(events)} messages were acknowledged")
        return len(events) / (ended - began)

    def _hand_over(self, event: PendingEvent) -> None:
        while True:
            try:
                self._client.produce(
                    event.topic,
                    event.payload,
                    event.key,
                    headers=event.headers,
                    on_delivery=self._count,
                )
            except BufferError:
                self._client.poll(0.005)
            else:
                return

    def _count(self, error: KafkaError | None, _message: Message) -> None:
        self._acknowledged += error is None


def main() -> None:
    _relax_garbage_collection()
    batch_size = int(sys.argv[1])
    with open_session(read_settings(os.environ).database_url, "benchmark") as session:
        events = [event for batch in batches(session, _READ_BATCH) for event in batch]
    sender = Sender()
    sender.send(events[:_WARM_UP], batch_size)
    sys.stdout.write(json.dumps({"rate": sender.send(events, batch_size)}))


if __name__ == "__main__":
    main()
