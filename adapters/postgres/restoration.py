"""After a backup came back: no number that consumers may have seen is ever given again.

Everything that is counted is raised by a million in one transaction, which nobody else can be in
the middle of: the tables are locked against all others until it commits. The identities are raised
by ALTER TABLE, which a rollback takes back; setval would stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Transaction, connection_options, plain_transaction
from application.errors import CommandRefused, DatabaseUnavailable

RAISED_BY = 1_000_000
APPLICATION_NAME = "orchestrator-restored"

# "RSTR": one command at a time.
_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s) AS taken"
_LOCK_ID = int.from_bytes(b"RSTR", "big")

# Not this command's own: the lock keeps those apart.
_OTHERS = """
SELECT application_name, count(*) AS sessions FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-%'
  AND application_name <> current_setting('application_name')
GROUP BY application_name ORDER BY application_name
"""
# A transaction goes on seeing the sessions that it saw first.
_LOOK_AFRESH = "SELECT pg_stat_clear_snapshot()"

# The server misses the sessions of a process that was just stopped a little later: two seconds.
_LOOKS = 40
_PAUSE_SECONDS = 0.05

# Rows by the million take their time; a session that holds a table is not waited for, for long.
_LIMITS = (
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '10s', true)"
)

_EXCLUDE = """
LOCK TABLE hostnames, images, builds, containers, events, outbox IN ACCESS EXCLUSIVE MODE
"""

_RAISE_IMAGES = "UPDATE images SET sequence = sequence + %(by)s"
_RAISE_CONTAINERS = "UPDATE containers SET sequence = sequence + %(by)s"

# The higher of what the identity gave and what stands there: a dump may restore less of the first.
# One that was raised, and gave nothing since, has a next value instead of a last one.
_LAST = """
SELECT greatest(
    last_value - (NOT is_called)::int, coalesce((SELECT max(id) FROM {table}), 0)) AS last
FROM {sequence}
"""
_RESTART = "ALTER TABLE {table} ALTER COLUMN id RESTART WITH {next}"

_RECORD = """
INSERT INTO restorations (raised_by, last_event_id, last_image_id, last_container_id)
VALUES (%(by)s, %(events)s, %(images)s, %(containers)s)
"""

_TABLES = ("images", "builds", "containers", "events", "outbox")


@dataclass(frozen=True, slots=True)
class Raised:
    """What was raised.

    Attributes:
        images: how many of them, with their sequences.
        containers: as above.
        next_ids: the next identity of each table.
    """

    images: int
    containers: int
    next_ids: Mapping[str, int]


class PostgresRestoration:
    """Raises on a connection of its own.

    Args:
        database_url: where PostgreSQL is.
        transaction: begins the one.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        database_url: str,
        transaction: Transaction = plain_transaction,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database_url = database_url
        self._transaction = transaction
        self._sleep = sleep

    def raise_numbers(self, *, force: bool) -> Raised:
        """Raise all sequences of streams and all identities.

        Args:
            force: do it though other sessions of the service are connected.

        Raises:
            CommandRefused: others stay connected, or raise just now; nothing changed.
            DatabaseUnavailable: it cannot be reached, or was lost; unless that happened at the
                commit itself, nothing changed.
        """
        options = connection_options(APPLICATION_NAME)
        with translated_errors(), psycopg.connect(self._database_url, **options) as connection:
            try:
                with self._transaction(connection):
                    connection.execute(_LIMITS)
                    _take_lock(connection)
                    if not force:
                        self._await_solitude(connection)
                    return _raise_numbers(connection)
            except psycopg.errors.LockNotAvailable as exc:
                raise DatabaseUnavailable("somebody else holds a table") from exc

    def _await_solitude(self, connection: psycopg.Connection[DictRow]) -> None:
        for _ in range(_LOOKS):
            connection.execute(_LOOK_AFRESH)
            others = connection.execute(_OTHERS).fetchall()
            if not others:
                return
            self._sleep(_PAUSE_SECONDS)
        named = ", ".join(f"{row['application_name']} ({row['sessions']})" for row in others)
        raise CommandRefused(f"stop api, workers and relays first; connected: {named}")


def _take_lock(connection: psycopg.Connection[DictRow]) -> None:
    taken = connection.execute(_LOCK, {"lock": _LOCK_ID}).fetchone()
    if taken is None or not taken["taken"]:
        raise CommandRefused("another one raises them just now")


def _raise_numbers(connection: psycopg.Connection[DictRow]) -> Raised:
    connection.execute(_EXCLUDE)
    last = {table: _last(connection, table) for table in _TABLES}
    parameters = {"by": RAISED_BY, **last}
    images = connection.execute(_RAISE_IMAGES, parameters).rowcount
    containers = connection.execute(_RAISE_CONTAINERS, parameters).rowcount
    next_ids = {table: id_ + RAISED_BY + 1 for table, id_ in last.items()}
    for table, next_id in next_ids.items():
        restart = sql.SQL(_RESTART).format(table=sql.Identifier(table), next=sql.Literal(next_id))
        connection.execute(restart)
    connection.execute(_RECORD, parameters)
    return Raised(images, containers, next_ids)


def _last(connection: psycopg.Connection[DictRow], table: str) -> int:
    sequence = sql.Identifier(f"{table}_id_seq")
    query = sql.SQL(_LAST).format(table=sql.Identifier(table), sequence=sequence)
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM always returns a row
    return int(row["last"])
