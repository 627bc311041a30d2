"""Engines as an operator sees them, and the end of a quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool, Transaction, plain_transaction
from application.errors import CommandRefused, NotFound

_OVERVIEW = """
SELECT engine_id, address, host, reachable,
       extract(epoch FROM now() - checked_at)::float8 AS heartbeat_seconds,
       extract(epoch FROM now() - reached_at)::float8 AS reached_seconds,
       passed_at, quarantined_at, quarantine_reason,
       (SELECT count(*) FROM containers c
        WHERE c.engine_id = engines.engine_id AND c.status NOT IN ('failed', 'deleted')) AS held
FROM engines ORDER BY engine_id
"""

# Due at once: what differs on the engine is looked at, and repaired.
_TRUST = """
UPDATE engines
SET quarantined_at = NULL, quarantine_reason = NULL, trusted_at = now(), next_pass_at = now()
WHERE engine_id = %(engine_id)s AND quarantined_at IS NOT NULL
"""

_IS_KNOWN = "SELECT FROM engines WHERE engine_id = %(engine_id)s"


@dataclass(frozen=True, slots=True)
class EngineOverview:
    """An engine.

    Attributes:
        address: where the engine itself is reached.
        host: where the external ports of its containers are.
        heartbeat_seconds: the age of what is known of it.
        reached_seconds: since a worker saw it answer, None if none ever did.
        passed_at: when the last pass over it ended.
        held: its containers that are neither failed nor deleted.
    """

    engine_id: str
    address: str | None
    host: str
    reachable: bool
    heartbeat_seconds: float
    reached_seconds: float | None
    passed_at: datetime | None
    held: int
    quarantined_at: datetime | None
    quarantine_reason: str | None


class PostgresQuarantine:
    """Transactions of their own.

    Args:
        pool: an open pool.
        transaction: begins one.
    """

    def __init__(self, pool: Pool, transaction: Transaction = plain_transaction) -> None:
        self._pool = pool
        self._transaction = transaction

    def overview(self) -> list[EngineOverview]:
        with translated_errors(), self._pool.connection() as connection:
            return [EngineOverview(**row) for row in connection.execute(_OVERVIEW).fetchall()]

    def trust(self, engine_id: str) -> None:
        """End an engine's quarantine, whatever passes find until one finds nothing alarming.

        Raises:
            NotFound: there is no such engine.
            CommandRefused: it is not in quarantine.
        """
        parameters = {"engine_id": engine_id}
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            if connection.execute(_TRUST, parameters).rowcount:
                return
            if connection.execute(_IS_KNOWN, parameters).fetchone() is None:
                raise NotFound("engine")
        raise CommandRefused("it is not in quarantine")
