"""Ids taken from a table's sequence before its row is inserted."""

from __future__ import annotations

from typing import Literal

from psycopg import Connection
from psycopg.rows import DictRow

_NEXT_ID = "SELECT nextval(pg_get_serial_sequence(%(table)s, 'id')) AS id"


def next_id(
    connection: Connection[DictRow], table: Literal["images", "builds", "containers"]
) -> int:
    """Return an id that nobody else will get; one that is not used leaves a hole."""
    row = connection.execute(_NEXT_ID, {"table": table}).fetchone()
    assert row is not None  # noqa: S101 - nextval always returns a row
    return int(row["id"])
