"""Reads the whole outbox with the relay's own statement and decoding; publishes, deletes nothing.

``python -m tests.benchmarks.relay.raw_fetch BATCH_SIZE EVENTS`` prints ``{"rate": …}``, in events a
second.
"""

import json
import os
import sys
import time
from collections.abc import Iterator

import psycopg

from relay.floor import Window
from relay.leadership import open_session
from relay.outbox import Request
from relay.pending_event import PendingEvent
from relay.serve import _relax_garbage_collection
from relay.settings import read_settings


def batches(session: psycopg.Connection, batch_size: int) -> Iterator[list[PendingEvent]]:
    """Yield what is pending, in the relay's order, a batch at a time."""
    above = 0
    while True:
        window = Window(above=above, late=frozenset(), decided=above)
        fetched = Request(session, [], window, [], batch_size).result()
        if not fetched:
            return
        above = fetched[-1].id
        yield fetched


def main() -> None:
    _relax_garbage_collection()
    batch_size, events = (int(argument) for argument in sys.argv[1:3])
    settings = read_settings(os.environ)
    with open_session(settings.database_url, "benchmark") as session:
        next(batches(session, batch_size))
        began = time.perf_counter()
        fetched = sum(len(batch) for batch in batches(session, batch_size))
        ended = time.perf_counter()
    if fetched != events:
        sys.exit(f"{fetched} events are pending instead of {events}")
    sys.stdout.write(json.dumps({"rate": events / (ended - began)}))


if __name__ == "__main__":
    main()
