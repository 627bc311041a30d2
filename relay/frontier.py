"""The id at or below which nothing can be added any more: what floor and horizon rest on.

An identity column deals out ids in rising order, but transactions commit in any order, so the
newest visible id says nothing about the ids below it. What does, proven from three facts:

1. An id is drawn inside an INSERT, which holds ROW EXCLUSIVE on its table before it draws, and
   until its transaction is over (the sequence has CACHE 1: no session keeps ids for later).
2. So if the sequence's last value N is read first and the holders of that lock afterwards, whoever
   drew an id at or below N is among the holders, or over.
3. PostgreSQL makes a commit visible before it lets the transaction's locks go. So once none of
   these holders is left, every snapshot taken later sees all rows with ids at or below N that will
   ever be there.

A crash of the server can take back what was not on its disk yet, the sequence's last value among
it, and ids below N would be dealt out again. So a horizon is told to others only by a transaction
that is flushed, and with it all that was written before (``survey.py``).

A transaction that never wrote to the table, or works in another database, is no holder and holds
up nothing, however long it stays open; nor does a snapshot that somebody keeps.
"""

from collections.abc import Collection
from dataclasses import dataclass

import psycopg
from psycopg import errors

# A prepared transaction holds its locks under a name that nobody saw before: "-1/…".
_PREPARED = "-1/"

# One statement after the other: the order is what the proof needs. A sequence that was made or
# restarted (which an operator does after a restored backup) and has given nothing since has no last
# value, but a next one: what is below it was given before, or never will be. Its row is read first:
# if the function, which waits for whoever draws, then finds no last value, nobody had drawn when it
# was read. The row of one that is in use tells too much: for a moment the 32 numbers further that a
# crash would cost (in 247 of 196,153 readings beside three busy writers of PostgreSQL 18).
_LAST_IDS = """
WITH next AS MATERIALIZED (
    SELECT outbox_id_seq.last_value AS outbox, events_id_seq.last_value AS events
    FROM outbox_id_seq CROSS JOIN events_id_seq
)
SELECT coalesce(pg_sequence_last_value('outbox_id_seq'), outbox - 1),
       coalesce(pg_sequence_last_value('events_id_seq'), events - 1)
FROM next
"""
_MISSING_GRANTS = """
SELECT string_agg(format('GRANT SELECT ON SEQUENCE %s TO %I', name, current_user), '; ')
FROM unnest(ARRAY[pg_get_serial_sequence('outbox', 'id'), pg_get_serial_sequence('events', 'id')])
     AS name
WHERE NOT has_sequence_privilege(name, 'SELECT')
"""
_WRITERS = """
SELECT coalesce(array_agg(virtualtransaction) FILTER (WHERE relation = 'outbox'::regclass), '{}'),
       coalesce(array_agg(virtualtransaction) FILTER (WHERE relation = 'events'::regclass), '{}')
FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid IS DISTINCT FROM pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A table's last id, and who could have drawn it or a lower one and is not over."""

    last_id: int
    writers: frozenset[str]


class Frontier:
    """Follows one table from reading to reading.

    Attributes:
        decided: Proven: a snapshot taken from now on sees every row at or below it.
    """

    def __init__(self) -> None:
        self.decided = 0
        self._candidate = 0
        self._witnesses: Collection[str] = ()

    def observe(self, reading: Reading) -> None:
        """Take a reading into account; readings come in the order in which they were made."""
        if self._witnesses:
            self._witnesses = frozenset(self._witnesses) & reading.writers
            if self._witnesses or any(name.startswith(_PREPARED) for name in reading.writers):
                # One that was prepared meanwhile may be one of ours under its new name.
                self._witnesses = self._witnesses or reading.writers
                return
            self.decided = self._candidate
        self._candidate = max(self._candidate, reading.last_id)
        self._witnesses = reading.writers
        if not self._witnesses:
            self.decided = self._candidate


def read_frontiers(session: psycopg.Connection) -> tuple[Reading, Reading]:
    """Return a reading of ``outbox`` and one of ``events``.

    Raises:
        psycopg.errors.InsufficientPrivilege: The role may not read the sequences; it names the
            grants. Without them floor and horizon would stand still, and nobody would know.
        psycopg.Error: The session is lost or a statement failed.
    """
    try:
        last_ids = session.execute(_LAST_IDS).fetchone()
    except errors.InsufficientPrivilege as exc:
        raise _missing_grants(session) from exc
    writers = session.execute(_WRITERS).fetchone()
    if last_ids is None or writers is None:
        raise psycopg.DataError("a statement that always returns a row returned none")
    outbox, events = zip(last_ids, map(frozenset, writers), strict=True)
    return Reading(*outbox), Reading(*events)


def _missing_grants(session: psycopg.Connection) -> psycopg.Error:
    row = session.execute(_MISSING_GRANTS).fetchone()
    return errors.InsufficientPrivilege(
        f"the role may not read the sequences: {row[0] if row and row[0] else 'try again'}"
    )
