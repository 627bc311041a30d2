"""Records events as the service does: the aggregate first, then ledger and outbox.

A transaction locks its aggregates by raising their sequences, each in an UPDATE of its own, and
only then inserts: ids rise with the sequence of a stream. NOTIFY goes out after the commit, outside
of it. The aggregates are a table of the tests' own, which has what the rule needs and no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from tests.fault.relay.sessions import WRITER
from tests.integration.relay.harness import Event, record

_CREATE_AGGREGATES = """
CREATE TABLE IF NOT EXISTS aggregates (
    id       bigint PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0
)
"""
_ADD_AGGREGATES = """
INSERT INTO aggregates (id) SELECT generate_series(%(first)s::int, %(last)s::int)
ON CONFLICT (id) DO NOTHING
"""
_RAISE = """
UPDATE aggregates SET sequence = sequence + %(events)s WHERE id = %(id)s RETURNING sequence
"""
_RAISE_MANY = """
UPDATE aggregates SET sequence = %(length)s WHERE id BETWEEN %(first)s AND %(last)s
"""
_NOTIFY = "NOTIFY orchestrator_outbox"

# Rows in bulk, in the order of their sequences within each stream.
_RECORD_MANY = """
WITH made AS MATERIALIZED (
    SELECT gen_random_uuid() AS event_id,
           'container/' || aggregate AS stream,
           sequence,
           (aggregate / 4)::text AS key
    FROM generate_series(1, %(length)s) AS sequence,
         generate_series(%(first)s::int, %(last)s::int) AS aggregate
    ORDER BY sequence, aggregate
), recorded AS (
    INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, topic, key, payload,
                        headers, occurred_at)
    SELECT event_id, stream, sequence, 'container.started', '1', 1, %(topic)s, key,
           convert_to(json_build_object(
               'event_id', event_id, 'stream', stream, 'sequence', sequence
           )::text, 'UTF8'),
           jsonb_build_array(
               jsonb_build_array('ce_specversion', '1.0'), jsonb_build_array('ce_id', event_id)
           ), now()
    FROM made
)
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
SELECT event_id, %(topic)s, key, stream, sequence, 0 FROM made ORDER BY sequence, key, stream
"""


def prepare_streams(database: str, streams: int, *, first: int = 1) -> None:
    """Make sure that so many aggregates exist from ``first`` on; a stream is ``container/ID``."""
    with psycopg.connect(database) as connection:
        connection.execute(_CREATE_AGGREGATES)
        connection.execute(_ADD_AGGREGATES, {"first": first, "last": first + streams - 1})


def raise_and_record(
    connection: psycopg.Connection,
    topic: str,
    aggregate: int,
    events: int = 1,
    *,
    padding: int = 200,
    occurred_at: datetime | None = None,
) -> list[Event]:
    """Record the aggregate's next events, in the connection's transaction.

    Instances of an app share a key, so each key has the streams of four aggregates.
    """
    row = connection.execute(_RAISE, {"id": aggregate, "events": events}).fetchone()
    assert row is not None
    made = [
        Event(
            f"container/{aggregate}",
            sequence,
            topic,
            key=str(aggregate // 4),
            padding=padding,
            occurred_at=occurred_at,
        )
        for sequence in range(row[0] - events + 1, row[0] + 1)
    ]
    record(connection, made)
    return made


def write(
    database: str, topic: str, aggregate: int, events: int = 1, *, padding: int = 200
) -> None:
    """Record the aggregate's next events in one transaction, and notify."""
    with writing_session(database) as connection:
        raise_and_record(connection, topic, aggregate, events, padding=padding)
        connection.commit()
        notify(connection)


def write_many(database: str, topic: str, streams: int, length: int, *, first: int = 1) -> None:
    """Record the first ``length`` events of aggregates from ``first`` on in one transaction."""
    with writing_session(database) as connection:
        last = first + streams - 1
        parameters = {"topic": topic, "first": first, "last": last, "length": length}
        connection.execute(_RAISE_MANY, parameters)
        connection.execute(_RECORD_MANY, parameters)
        connection.commit()
        notify(connection)


def notify(connection: psycopg.Connection) -> None:
    """Tell the relay, in a transaction of its own."""
    connection.execute(_NOTIFY)
    connection.commit()


@contextmanager
def writing_session(database: str) -> Iterator[psycopg.Connection]:
    """Open a session as a writer's; what is not committed is rolled back."""
    connection = psycopg.connect(database, application_name=WRITER)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()
