"""One transaction: state, ledger and outbox together, then wake-ups for those who wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.builds import PostgresBuildRepository
from adapters.postgres.claims import Claimant
from adapters.postgres.containers import PostgresContainerRepository
from adapters.postgres.engines import PostgresEngineDirectory
from adapters.postgres.errors import translated_errors
from adapters.postgres.host_ports import PostgresHostPortPool
from adapters.postgres.hostnames import PostgresHostnameRegistry
from adapters.postgres.images import PostgresImageRepository
from adapters.postgres.leases import PostgresLeaseTable
from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.pool import Pool
from adapters.postgres.repetition import repeated
from adapters.postgres.signals import Channel
from adapters.wire.events import EventEncoder
from application.unit_of_work import UnitOfWork

T = TypeVar("T")

_NOW = "SELECT clock_timestamp() AS now"


class PostgresUnitOfWork:
    """The repositories of one transaction.

    Attributes:
        signals: whom to wake once it is committed.
    """

    def __init__(
        self,
        connection: Connection[DictRow],
        encoder: EventEncoder,
        new_event_id: Callable[[], UUID],
        claimant: Claimant,
    ) -> None:
        self.signals: set[Channel] = set()
        self._connection = connection
        ledger = PostgresLedger(connection, encoder, new_event_id, self.signals)
        self.images = PostgresImageRepository(connection, ledger, self.signals)
        self.builds = PostgresBuildRepository(connection, self.signals)
        self.containers = PostgresContainerRepository(connection, ledger, self.signals)
        self.hostnames = PostgresHostnameRegistry(connection)
        self.host_ports = PostgresHostPortPool(connection)
        self.engines = PostgresEngineDirectory(connection)
        self.leases = PostgresLeaseTable(connection, self.signals, claimant)

    def now(self) -> datetime:
        row = self._connection.execute(_NOW).fetchone()
        assert row is not None  # noqa: S101 - for mypy: a SELECT without FROM gives one row
        now: datetime = row["now"]
        return now


class PostgresTransactionRunner:
    """Runs use cases in transactions of their own.

    Args:
        pool: an open pool.
        encoder: turns events into what the ledger stores.
        new_event_id: returns a new UUIDv7.
        signal: is told the channels to wake once a transaction is committed.
        claimant: who claims, if anything is claimed at all.
    """

    def __init__(
        self,
        pool: Pool,
        encoder: EventEncoder,
        new_event_id: Callable[[], UUID],
        signal: Callable[[set[Channel]], None],
        claimant: Claimant,
    ) -> None:
        self._pool = pool
        self._encoder = encoder
        self._new_event_id = new_event_id
        self._signal = signal
        self._claimant = claimant

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        result, signals = repeated(lambda: self._run_once(work))
        if signals:
            self._signal(signals)
        return result

    def _run_once(self, work: Callable[[UnitOfWork], T]) -> tuple[T, set[Channel]]:
        with translated_errors(), self._pool.connection() as connection, connection.transaction():
            uow = PostgresUnitOfWork(connection, self._encoder, self._new_event_id, self._claimant)
            return work(uow), uow.signals
