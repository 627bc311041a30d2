"""Everything that a request could leave behind, so that a refusal can be held against it."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import LiteralString

import psycopg

from tests.integration.volume_files import files_on

TABLES: tuple[LiteralString, ...] = (
    "images", "builds", "containers", "events", "outbox", "hostnames", "host_ports",
)  # fmt: skip
DEADLINE_SECONDS = 10.0


@dataclass(frozen=True)
class Footprint:
    """The rows of every table and the files of the volume, at one moment."""

    rows: Mapping[str, tuple[str, ...]]
    files: tuple[str, ...]


class World:
    """The database and the volume of an api, seen from outside.

    Args:
        database_url: the api's database.
        volume: its BUILD_CONTEXT_BASE_DIR.
    """

    def __init__(self, database_url: str, volume: Path) -> None:
        self.database_url = database_url
        self.volume = volume

    def footprint(self) -> Footprint:
        with psycopg.connect(self.database_url) as connection:
            rows = {table: self._rows(connection, table) for table in TABLES}
        return Footprint(rows, tuple(sorted(files_on(self.volume))))

    @contextlib.contextmanager
    def left_alone(self) -> Iterator[None]:
        """Assert that what runs inside changes no row and no file."""
        before = self.footprint()
        yield
        assert self.footprint() == before

    @contextlib.contextmanager
    def left_alone_soon(self) -> Iterator[None]:
        """As `left_alone`, for what the api only learns of after a while."""
        before = self.footprint()
        yield
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.footprint() != before and time.monotonic() < deadline:
            Event().wait(0.05)
        assert self.footprint() == before

    def incoming_files(self) -> list[Path]:
        """What is being uploaded or extracted at the moment."""
        return list((self.volume / ".incoming").iterdir())

    def _rows(self, connection: psycopg.Connection, table: LiteralString) -> tuple[str, ...]:
        query = psycopg.sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(
            psycopg.sql.Identifier(table)
        )
        return tuple(str(row[0]) for row in connection.execute(query).fetchall())
