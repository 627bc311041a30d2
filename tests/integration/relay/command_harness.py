"""What the tests of operator commands stand on: a ledger to write, a command line, its outcome."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[3]
DEADLINE_SECONDS = 120.0

_INSERT_EVENT = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at, recorded_at)
VALUES (%(event_id)s, %(stream)s, %(sequence)s, %(type)s, %(user)s, %(image)s, %(container)s,
        %(topic)s, %(key)s, %(payload)s, %(headers)s::jsonb, now(),
        coalesce(%(recorded_at)s::timestamptz, clock_timestamp()))
"""
_INSERT_PENDING = """
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
VALUES (%(event_id)s, %(topic)s, %(key)s, %(stream)s, %(sequence)s, 0)
"""
_BLOCK = """
INSERT INTO blocked_streams (stream, event_id, code, detail)
VALUES (%(stream)s, %(event_id)s, %(code)s, %(detail)s)
"""
_RAISE_HORIZON = """
UPDATE ledger_horizon SET id = (SELECT coalesce(max(id), 0) FROM events)
"""
_WAITING = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'orchestrator-relay command'
  AND wait_event_type = 'Lock'
"""
# xmin tells of a row that was written again with the same values.
_CONTENTS = (
    b"SELECT xmin::text, * FROM events ORDER BY id",
    b"SELECT xmin::text, * FROM outbox ORDER BY id",
    b"SELECT xmin::text, * FROM blocked_streams ORDER BY stream",
    b"SELECT xmin::text, * FROM ledger_horizon",
)


@dataclass(frozen=True)
class Row:
    """One event of the ledger; of an image if it has no container."""

    container: int | None
    sequence: int
    type: str = "container.started"
    image: int = 1
    user: str = "user-1"
    topic: str = "live"
    recorded_at: datetime | None = None
    headers: str | None = None
    padding: int = 0
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def stream(self) -> str:
        return f"image/{self.image}" if self.container is None else f"container/{self.container}"

    @property
    def payload(self) -> bytes:
        body = {"event_id": self.event_id, "sequence": self.sequence, "stream": self.stream}
        return json.dumps({**body, "padding": "x" * self.padding}).encode()

    @property
    def header_pairs(self) -> list[tuple[str, str]]:
        return [("ce_id", self.event_id), ("ce_subject", self.stream)]

    @property
    def values(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "stream": self.stream,
            "sequence": self.sequence,
            "type": self.type,
            "user": self.user,
            "image": self.image,
            "container": self.container,
            "topic": self.topic,
            "key": str(self.image),
            "payload": self.payload,
            "headers": self.headers or json.dumps(self.header_pairs),
            "recorded_at": self.recorded_at,
        }


def write(connection: psycopg.Connection, rows: Iterable[Row]) -> None:
    """Insert rows into the ledger, in their order and in the connection's transaction."""
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT_EVENT, [row.values for row in rows])


def record(database: str, *rows: Row, pending: bool = False, horizon: bool = True) -> None:
    """Commit rows to the ledger, and to the outbox if they are pending.

    Args:
        horizon: Let readers of the ledger go up to the last of them.
    """
    with psycopg.connect(database) as connection:
        write(connection, rows)
        if pending:
            with connection.cursor() as cursor:
                cursor.executemany(_INSERT_PENDING, [row.values for row in rows])
        if horizon:
            connection.execute(_RAISE_HORIZON)


def raise_horizon(database: str) -> None:
    """Let readers of the ledger go up to the newest event that is committed."""
    with psycopg.connect(database) as connection:
        connection.execute(_RAISE_HORIZON)


def block(
    database: str, row: Row, code: str = "MSG_SIZE_TOO_LARGE", detail: str = "too large"
) -> None:
    """Block the row's stream because of it."""
    values = {"stream": row.stream, "event_id": row.event_id, "code": code, "detail": detail}
    with psycopg.connect(database) as connection:
        connection.execute(_BLOCK, values)


def contents(database: str) -> list[list[tuple[Any, ...]]]:
    """Return every row that a command could change, with the transaction that wrote it."""
    with psycopg.connect(database) as connection:
        return [connection.execute(query).fetchall() for query in _CONTENTS]


def event_ids(database: str) -> set[str]:
    """Return the ids of the ledger's events."""
    with psycopg.connect(database) as connection:
        return {id_ for (id_,) in connection.execute("SELECT event_id::text FROM events")}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> dict[str, str]:
        """The ``name=value`` pairs of its output."""
        words = (word.partition("=") for word in self.out.split())
        return {name: value for name, equals, value in words if equals}


def start_command(
    *arguments: str, environment: Mapping[str, str], **streams: Any
) -> subprocess.Popen[str]:
    """Start ``python -m relay`` with these arguments, and nothing but this environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "relay", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )


def run_command(*arguments: str, database: str = "", **environment: str) -> Ended:
    """Run ``python -m relay`` with these arguments to its end."""
    given = {"DATABASE_URL": database, **environment}
    return finished(start_command(*arguments, environment=given))


def waiting_for_a_lock(database: str) -> int:
    """Return how many commands wait for what somebody else has locked."""
    with psycopg.connect(database) as connection:
        return connection.execute(_WAITING).rowcount


def finished(process: subprocess.Popen[str]) -> Ended:
    """Return how a command that was started has ended."""
    with process:
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return Ended(process.returncode, out, err)


def expect_one_line(ended: Ended, code: int, *texts: str) -> None:
    """Hold that the command told in one line why it did not do it, and nothing else."""
    assert (ended.code, ended.out) == (code, ""), ended
    assert ended.err.startswith("relay: "), ended.err
    assert ended.err.count("\n") == 1, ended.err
    for text in texts:
        assert text in ended.err
