"""What the ledger says, to hold what a consumer applied against it."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence

import psycopg

from tests.integration.relay.harness import count, wait_until

_EVENTS = """
SELECT stream, sequence, event_id::text, payload, key, headers FROM events ORDER BY stream, sequence
"""
_BLOCKED = "SELECT stream FROM blocked_streams ORDER BY stream"
_HORIZON = "SELECT id FROM ledger_horizon"
_NEWEST = "SELECT coalesce(max(id), 0) FROM events"


def recorded(database: str) -> dict[str, list[str]]:
    """Return, per stream, what `entry_of` makes of each event, from sequence 1 on.

    Fails if the ledger itself has a gap: then the test's writers broke the rules.
    """
    streams: dict[str, list[str]] = defaultdict(list)
    with psycopg.connect(database) as connection, connection.cursor("events") as cursor:
        for stream, sequence, event_id, payload, key, headers in cursor.execute(_EVENTS):
            entries = streams[stream]
            entries.append(entry_of(event_id, payload, key, headers))
            assert sequence == len(entries), f"the ledger's {stream} has a gap at {sequence}"
    return dict(streams)


def entry_of(
    event_id: str, value: bytes, key: str | None, headers: Sequence[Sequence[str | None]]
) -> str:
    """Return the id and a digest of all that a message consists of; headers in their order."""
    told = json.dumps([key, [list(header) for header in headers]]).encode()
    return f"{event_id} {hashlib.md5(value + told).hexdigest()}"


def blocked_streams(database: str) -> list[str]:
    """Return the streams that wait for an operator."""
    with psycopg.connect(database) as connection:
        return [stream for (stream,) in connection.execute(_BLOCKED)]


def horizon(database: str) -> int:
    """Return the ledger id below which the leader says nothing can still commit."""
    return _one_number(database, _HORIZON)


def newest_id(database: str) -> int:
    """Return the highest ledger id that is visible."""
    return _one_number(database, _NEWEST)


def wait_until_published(database: str, seconds: float) -> None:
    """Wait until nothing is pending."""
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty", seconds)


def _one_number(database: str, query: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
