"""A command's own session: what it may cost, and how PostgreSQL's errors reach an operator."""

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from relay.commands.errors import Failed
from relay.errors import NOT_MIGRATED, describe, require_tables
from relay.leadership import open_session
from relay.wakeup import CHANNEL

# No statement of a command is long: large things are done in many. Times come in UTC, whatever
# zone the database has, and a command never waits for long for what somebody else holds.
_LIMITS = """
SET statement_timeout = '30s';
SET lock_timeout = '10s';
SET timezone = 'UTC'
"""

_WAKE = f"NOTIFY {CHANNEL}"


@contextlib.contextmanager
def command_session(database_url: str) -> Iterator[psycopg.Connection]:
    """Open an autocommit session.

    Raises:
        Failed: The database cannot be reached, is not migrated, was lost meanwhile, or refused a
            statement.
    """
    try:
        session = open_session(database_url, "command")
    except psycopg.Error as exc:
        raise Failed(f"the database cannot be reached: {describe(exc)}") from exc
    with session, database_errors():
        session.execute(_LIMITS)
        require_tables(session)
        yield session


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn PostgreSQL's errors into ``Failed``.

    Raises:
        Failed: In one line.
    """
    try:
        yield
    except (errors.UndefinedTable, errors.UndefinedColumn) as exc:
        raise Failed(NOT_MIGRATED) from exc
    except psycopg.Error as exc:
        raise Failed(f"the database failed: {describe(exc)}") from exc


def wake_leader(session: psycopg.Connection) -> None:
    """Let whoever leads look at once; after the commit, and only a hint."""
    with contextlib.suppress(psycopg.Error):
        session.execute(_WAKE)


def only_row(cursor: psycopg.Cursor[TupleRow]) -> TupleRow:
    """Return the row of a statement that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise psycopg.DataError("a statement that always returns a row returned none")
    return row
