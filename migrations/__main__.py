"""``python -m migrations``: bring the database named by ``DATABASE_URL`` up to date.

Waits up to ``MIGRATIONS_WAIT_SECONDS`` (default 30) for a database that is still starting. Prints
a line for each file applied, and for each that has to wait for a table. Exit codes: 0 up to date,
1 failed, 2 a setting is missing or wrong.
"""

import os
import signal
import sys
import time

import psycopg

from migrations.runner import MigrationError, migrate

_RETRY_SECONDS = 0.25


def main() -> int:
    # Without a handler it would not end process 1 of a container; PostgreSQL rolls back.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    database_url = os.environ.get("DATABASE_URL", "")
    if not database_url:
        return _fail("DATABASE_URL: is not set", code=2)
    raw_wait = os.environ.get("MIGRATIONS_WAIT_SECONDS") or "30"
    if not raw_wait.isdecimal():
        return _fail("MIGRATIONS_WAIT_SECONDS: expected a whole number of seconds", code=2)
    try:
        _wait_for_database(database_url, float(raw_wait))
        applied = migrate(
            database_url,
            on_applied=lambda name: _say(f"applied {name}"),
            on_waiting=lambda name: _say(f"{name} waits for a table that another session holds"),
        )
    except psycopg.ProgrammingError:
        # libpq's text quotes the URL, password and all.
        return _fail("DATABASE_URL: is not a PostgreSQL connection URL", code=2)
    except (MigrationError, psycopg.Error) as exc:
        return _fail(str(exc), code=1)
    if not applied:
        _say("the schema is up to date")
    return 0


def _wait_for_database(database_url: str, seconds: float) -> None:
    """Return once a connection succeeds; after ``seconds`` raise what the last attempt raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(database_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _say(line: str) -> None:
    sys.stdout.write(f"migrations: {line}\n")
    sys.stdout.flush()


def _fail(reason: str, *, code: int) -> int:
    """Write one line, whatever line breaks libpq put into its text."""
    sys.stderr.write(f"migrations: {' '.join(reason.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
