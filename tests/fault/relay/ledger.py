"""What the ledger says, to hold what a consumer applied against it."""

import psycopg

from tests.integration.relay.harness import count, wait_until

_STREAMS = """
SELECT stream,
       array_agg(sequence ORDER BY sequence),
       array_agg(event_id::text || ' ' || md5(payload) ORDER BY sequence)
FROM events
GROUP BY stream
"""
_HORIZON = "SELECT id FROM ledger_horizon"
_NEWEST = "SELECT coalesce(max(id), 0) FROM events"


def recorded(database: str) -> dict[str, list[str]]:
    """Return, per stream, each event's id and the digest of its payload, from sequence 1 on.

    Fails if the ledger itself has a gap: then the test's writers broke the rules.
    """
    with psycopg.connect(database) as connection:
        rows = connection.execute(_STREAMS).fetchall()
    for stream, sequences, _ in rows:
        assert sequences == list(range(1, len(sequences) + 1)), f"the ledger's {stream} has a gap"
    return {stream: entries for stream, _, entries in rows}


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
