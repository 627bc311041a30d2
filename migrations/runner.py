"""Applies the numbered SQL files of a folder, each once, in order.

Any number of processes may start it together: a session advisory lock lets one work while the
others wait and then find nothing to do. The lock dies with its session, so a killed runner leaves
nothing to clean up.

A file is applied in one transaction together with its row in ``schema_migrations``, so it is there
whole or not at all. What was applied is history: an edited, missing or late file (a number below
one already applied) stops the run before anything changes.

The service goes on while a file is applied, and whoever comes to a table that a statement waits
for waits behind it. So no statement waits long: its file is rolled back, lets others through, and
begins anew.

A file whose first line is ``-- migrate: no-transaction`` (for ``CREATE INDEX CONCURRENTLY``) runs
outside a transaction. It holds exactly one statement, and one that may be repeated: a crash right
after it leaves it applied but not recorded.
"""

import hashlib
import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDER = Path(__file__).parent
NO_TRANSACTION = b"-- migrate: no-transaction"

# Any constant does, as long as nothing else in the database uses it ("ORCHMIGR" in ASCII).
LOCK_KEY = int.from_bytes(b"ORCHMIGR", "big")

_FILE_NAME = re.compile(r"(?P<version>\d{4})_[a-z0-9_]+\.sql")

_LOCK_WAIT_SECONDS = 600.0
_LOCK_POLL_SECONDS = 0.1

# Far below what statements of the service may take, 15 s (`adapters/postgres/pool.py`).
_TABLE_WAIT = "SET LOCAL lock_timeout = '2s'"
_TABLES_WAIT_SECONDS = 600.0
_TABLES_PAUSE_SECONDS = 1.0

# Whoever holds one of a file's tables may wait for another: PostgreSQL ends the older wait.
_HELD = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

_TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     NOT NULL,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
)
"""

_READ_HISTORY = "SELECT version, name, sha256 FROM schema_migrations ORDER BY version"

_RECORD = "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)"


class MigrationError(Exception):
    """The files and the history disagree, or a file failed; what failed was rolled back."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and its exact bytes."""

    version: int
    name: str
    sql: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql).hexdigest()

    @property
    def in_transaction(self) -> bool:
        return not self.sql.startswith(NO_TRANSACTION)


def migrate(
    database_url: str,
    folder: Path = FOLDER,
    on_applied: Callable[[str], None] = lambda _name: None,
    on_waiting: Callable[[str], None] = lambda _name: None,
) -> list[str]:
    """Apply every file of ``folder`` that the database has not seen yet.

    Args:
        database_url: A libpq URL; its role must own the schema.
        folder: Where the numbered files are.
        on_applied: Called with a file's name as soon as it is committed.
        on_waiting: Called once with the name of a file that has to wait for a table.

    Returns:
        The names applied by this call, in order; empty when there was nothing to do.

    Raises:
        MigrationError: A file was edited, removed, misnamed or comes late, or its SQL failed, or
            another run held the lock, or other sessions a table, for ten minutes. Files before it
            stay applied.
        psycopg.OperationalError: The database cannot be reached.
    """
    known = read_folder(folder)
    # Autocommit, so that each file opens and ends a transaction of its own.
    with psycopg.connect(database_url, autocommit=True) as session:
        _take_lock(session)
        session.execute("SET client_min_messages = warning")
        session.execute(_CREATE_HISTORY)
        applied: list[str] = []
        for migration in _pending(known, _history(session)):
            _apply(session, migration, on_waiting)
            applied.append(migration.name)
            on_applied(migration.name)
        return applied


def read_folder(folder: Path) -> list[Migration]:
    """Return the files of ``folder`` in order; their numbers must run 1, 2, 3 … without a gap."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: the name must look like 0001_what_it_does.sql")
        found.append(Migration(int(match["version"]), path.name, path.read_bytes()))
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(f"{migration.name}: expected number {expected:04d} here")
    return found


def _take_lock(session: psycopg.Connection) -> None:
    """Take the lock by polling.

    A statement that waits inside ``pg_advisory_lock`` holds a snapshot, and the CREATE INDEX
    CONCURRENTLY of the run that has the lock would wait for that snapshot: a deadlock.
    """
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        row = session.execute(_TRY_LOCK, (LOCK_KEY,)).fetchone()
        if row == (True,):
            return
        if time.monotonic() >= deadline:
            raise MigrationError("another run has held the lock for ten minutes")
        time.sleep(_LOCK_POLL_SECONDS)


def _history(session: psycopg.Connection) -> dict[int, tuple[str, str]]:
    rows = session.execute(_READ_HISTORY).fetchall()
    return {version: (name, sha256) for version, name, sha256 in rows}


def _pending(
    known: Sequence[Migration], history: Mapping[int, tuple[str, str]]
) -> Sequence[Migration]:
    """Hold the files against the history; return those still to be applied."""
    by_version = {migration.version: migration for migration in known}
    for version, (name, sha256) in history.items():
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(f"{name}: was applied, but its file is missing")
        if migration.sha256 != sha256:
            raise MigrationError(f"{migration.name}: was edited after it was applied")
    newest = max(history, default=0)
    pending = [migration for migration in known if migration.version not in history]
    if pending and pending[0].version < newest:
        raise MigrationError(f"{pending[0].name}: comes late, {newest:04d} is applied already")
    return pending


def _apply(
    session: psycopg.Connection, migration: Migration, on_waiting: Callable[[str], None]
) -> None:
    try:
        if migration.in_transaction:
            _apply_at_once(session, migration, on_waiting)
        else:
            session.execute(migration.sql)
            _record(session, migration)
    except psycopg.Error as exc:
        raise MigrationError(f"{migration.name}: {_first_line(exc)}") from exc


def _apply_at_once(
    session: psycopg.Connection, migration: Migration, on_waiting: Callable[[str], None]
) -> None:
    """Apply all of a file in one transaction, as soon as nobody holds its tables."""
    deadline = time.monotonic() + _TABLES_WAIT_SECONDS
    for attempt in itertools.count(1):
        try:
            with session.transaction():
                session.execute(_TABLE_WAIT)
                session.execute(migration.sql)
                _record(session, migration)
        except _HELD as exc:
            if time.monotonic() >= deadline:
                reason = "others have held a table that it changes for ten minutes"
                raise MigrationError(f"{migration.name}: {reason}") from exc
            if attempt == 1:
                on_waiting(migration.name)
            time.sleep(_TABLES_PAUSE_SECONDS)
        else:
            return


def _record(session: psycopg.Connection, migration: Migration) -> None:
    session.execute(_RECORD, (migration.version, migration.name, migration.sha256))


def _first_line(exc: psycopg.Error) -> str:
    return (exc.diag.message_primary or str(exc)).strip().splitlines()[0]
