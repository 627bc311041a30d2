"""The database as an audit reads it: everything in one snapshot, the ledger a stream at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.audit_state import read_state
from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool
from application.audit.records import Address, LedgerEntry, Pending, State, Stream

# Nothing is locked; a ledger of years is read in one go, a page a statement.
_BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_PATIENT = "SET LOCAL statement_timeout = '120s'"

# The payload tells what consumers read; of a malformed one nothing is known.
_LEDGER: LiteralString = """
SELECT id, event_id, stream, sequence, type, occurred_at, payload
FROM events ORDER BY stream, sequence
"""

_OUTBOX: LiteralString = """
SELECT o.event_id, o.topic, o.key, o.stream, o.sequence, e.event_id IS NOT NULL AS recorded,
       e.topic AS ledger_topic, e.key AS ledger_key, e.stream AS ledger_stream,
       e.sequence AS ledger_sequence
FROM outbox o LEFT JOIN events e USING (event_id)
ORDER BY o.id
"""

_PAGE = 2_000


class _Payload(msgspec.Struct):
    """What an event's payload tells of the things that an audit compares."""

    event_id: UUID | None = None
    sequence: int | None = None
    status: str | None = None
    run_id: UUID | None = None


_DECODER = msgspec.json.Decoder(_Payload)


class PostgresRecords:
    """Takes snapshots.

    Args:
        pool: an open pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextmanager
    def snapshot(self) -> Iterator[PostgresRecordSnapshot]:
        with translated_errors(), self._pool.connection() as connection, connection.transaction():
            connection.execute(_BEGIN)
            connection.execute(_PATIENT)
            yield PostgresRecordSnapshot(connection)


class PostgresRecordSnapshot:
    """One snapshot, while its transaction is open."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def state(self) -> State:
        return read_state(self._connection)

    def streams(self) -> Iterator[Stream]:
        for name, rows in groupby(self._rows("ledger", _LEDGER), key=lambda row: row["stream"]):
            yield Stream(name, tuple(_entry(row) for row in rows))

    def pending(self) -> Iterator[Pending]:
        for row in self._rows("outbox", _OUTBOX):
            address = Address(row["topic"], row["key"], row["stream"], row["sequence"])
            ledger = None
            if row["recorded"]:
                ledger = Address(
                    row["ledger_topic"],
                    row["ledger_key"],
                    row["ledger_stream"],
                    row["ledger_sequence"],
                )
            yield Pending(row["event_id"], address, ledger)

    def _rows(self, name: str, sql: LiteralString) -> Iterator[DictRow]:
        with self._connection.cursor(name) as cursor:
            cursor.itersize = _PAGE
            yield from cursor.execute(sql)


def _entry(row: DictRow) -> LedgerEntry:
    try:
        told = _DECODER.decode(row["payload"])
    except msgspec.DecodeError:
        told = _Payload()
    return LedgerEntry(
        id=row["id"],
        event_id=row["event_id"],
        sequence=row["sequence"],
        type=row["type"],
        occurred_at=row["occurred_at"],
        status=told.status,
        run_id=told.run_id,
        told_event_id=told.event_id,
        told_sequence=told.sequence,
    )
