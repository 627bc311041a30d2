"""Engines as their workers last saw them, and the pool of host ports that each one has."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool, Transaction, plain_transaction

# An engine that is new at an address where another one holds what is ours is not trusted: whoever
# pointed DOCKER_HOST elsewhere, or lost a disk, has to say so.
_HEARTBEAT = """
INSERT INTO engines (engine_id, host, version, reachable, detail, address, reached_at,
                     quarantined_at, quarantine_reason)
SELECT %(engine_id)s, %(host)s, %(version)s, %(reachable)s, %(detail)s, %(address)s,
       CASE WHEN %(reachable)s THEN now() END,
       CASE WHEN former.engine_id IS NOT NULL THEN now() END,
       'at this address engine ' || former.engine_id || ' held ' || former.held || ' container(s)'
FROM (SELECT 1) AS one
LEFT JOIN LATERAL (
    SELECT engines.engine_id, count(*) AS held
    FROM engines JOIN containers USING (engine_id)
    WHERE engines.address = %(address)s AND engines.engine_id <> %(engine_id)s
      AND containers.status NOT IN ('failed', 'deleted')
    GROUP BY engines.engine_id ORDER BY held DESC LIMIT 1
) AS former ON true
ON CONFLICT ON CONSTRAINT engines_pkey DO UPDATE
SET host = EXCLUDED.host, version = EXCLUDED.version, reachable = EXCLUDED.reachable,
    detail = EXCLUDED.detail, address = EXCLUDED.address, checked_at = now(),
    reached_at = coalesce(EXCLUDED.reached_at, engines.reached_at)
RETURNING quarantine_reason
"""

_ADD_PORTS = """
INSERT INTO host_ports (engine_id, port)
SELECT %(engine_id)s, port FROM generate_series(%(first)s::int, %(last)s::int) AS port
ON CONFLICT ON CONSTRAINT host_ports_pkey DO NOTHING
"""

# A port that left the range stays with its container until that is gone, and is never free again
# (`adapters.postgres.host_ports`) unless the range comes back to it.
_REMOVE_PORTS = """
DELETE FROM host_ports
WHERE engine_id = %(engine_id)s AND container_id IS NULL
  AND port NOT BETWEEN %(first)s AND %(last)s
"""
_RETIRE_PORTS = """
UPDATE host_ports SET free_after = 'infinity'
WHERE engine_id = %(engine_id)s AND port NOT BETWEEN %(first)s AND %(last)s
"""
_READMIT_PORTS = """
UPDATE host_ports SET free_after = now()
WHERE engine_id = %(engine_id)s AND port BETWEEN %(first)s AND %(last)s AND free_after = 'infinity'
"""

_HEALTH = """
SELECT engine_id, reachable, extract(epoch FROM now() - checked_at)::float8 AS age_seconds,
       quarantine_reason
FROM engines ORDER BY engine_id
"""

_HOST = "SELECT host FROM engines WHERE engine_id = %(engine_id)s"

_BRING_FORWARD = "UPDATE engines SET next_pass_at = now() WHERE engine_id = %(engine_id)s"

_INSTALLATION_ID = "SELECT installation_id::text AS installation_id FROM installation"


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """An engine as a worker last saw it."""

    engine_id: str
    reachable: bool
    age_seconds: float
    quarantine_reason: str | None


class PostgresEngineDirectory:
    """The engines as one transaction sees them."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def host(self, engine_id: str) -> str:
        row = self._connection.execute(_HOST, {"engine_id": engine_id}).fetchone()
        assert row is not None  # noqa: S101 - builds refer to engines by a foreign key
        return str(row["host"])

    def request_pass(self, engine_id: str) -> None:
        self._connection.execute(_BRING_FORWARD, {"engine_id": engine_id})


class PostgresEngineRegistry:
    """The engines table and what belongs to an engine as a whole.

    Args:
        pool: an open pool.
        transaction: begins one.
    """

    def __init__(self, pool: Pool, transaction: Transaction = plain_transaction) -> None:
        self._pool = pool
        self._transaction = transaction

    def installation_id(self) -> str:
        """Return this installation's id, made by the first migration."""
        with translated_errors(), self._pool.connection() as connection:
            row = connection.execute(_INSTALLATION_ID).fetchone()
        assert row is not None  # noqa: S101 - inserted by the first migration, never deleted
        return str(row["installation_id"])

    def heartbeat(
        self,
        engine_id: str,
        host: str,
        version: str,
        *,
        reachable: bool,
        detail: str | None,
        address: str | None = None,
    ) -> str | None:
        """Note what a worker just saw of its engine.

        Args:
            host: where the external ports of its containers are reached.
            address: where the engine itself is reached.

        Returns:
            Why it is in quarantine, None if it is not.
        """
        parameters = {
            "engine_id": engine_id,
            "host": host,
            "version": version,
            "reachable": reachable,
            "detail": detail,
            "address": address,
        }
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            row = connection.execute(_HEARTBEAT, parameters).fetchone()
        return None if row is None else row["quarantine_reason"]

    def set_port_range(self, engine_id: str, first: int, last: int) -> None:
        """Make the pool of host ports equal to a range, both ends included.

        A port beyond it that a container holds is given to no other one.
        """
        parameters = {"engine_id": engine_id, "first": first, "last": last}
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            connection.execute(_ADD_PORTS, parameters)
            connection.execute(_REMOVE_PORTS, parameters)
            connection.execute(_RETIRE_PORTS, parameters)
            connection.execute(_READMIT_PORTS, parameters)

    def health(self) -> list[EngineHealth]:
        """Return every engine with the age of what is known of it."""
        with translated_errors(), self._pool.connection() as connection:
            return [EngineHealth(**row) for row in connection.execute(_HEALTH).fetchall()]
