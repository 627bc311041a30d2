"""One query, and all of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool


class RowReader:
    """Reads rows, each query on a connection of its own.

    Args:
        pool: an open pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def _rows(self, sql: LiteralString, parameters: Mapping[str, Any]) -> list[DictRow]:
        with translated_errors(), self._pool.connection() as connection:
            return connection.execute(sql, parameters).fetchall()
