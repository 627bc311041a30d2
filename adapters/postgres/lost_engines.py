"""What is recorded of an engine that an operator declares lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool, Transaction, plain_transaction
from application.errors import CommandRefused, NotFound

_DECLARE = """
UPDATE engines
SET quarantined_at = coalesce(quarantined_at, now()), quarantine_reason = %(reason)s,
    trusted_at = NULL
WHERE engine_id = %(engine_id)s
  AND coalesce(reached_at, '-infinity') < now() - make_interval(secs => %(unreached_seconds)s)
"""

_REACHED = """
SELECT extract(epoch FROM now() - reached_at)::float8 AS seconds
FROM engines WHERE engine_id = %(engine_id)s
"""

_IMAGES = """
SELECT id FROM images i
WHERE status <> 'deleted'
  AND (engine_id = %(engine_id)s
       OR EXISTS (SELECT FROM builds b WHERE b.image_id = i.id AND b.engine_id = %(engine_id)s
                  AND (b.id = i.active_build_id OR b.status IN ('queued', 'running')
                       OR b.lease_until IS NOT NULL OR b.next_attempt_at IS NOT NULL)))
ORDER BY id
"""

_BUILDS = """
SELECT id FROM builds
WHERE image_id = %(image_id)s AND engine_id = %(engine_id)s
  AND (status IN ('queued', 'running') OR lease_until IS NOT NULL OR next_attempt_at IS NOT NULL)
ORDER BY id
"""

_CONTAINERS = """
SELECT id FROM containers
WHERE engine_id = %(engine_id)s AND status <> 'deleted'
ORDER BY id LIMIT %(limit)s
"""


class PostgresLostEngines:
    """Queries of their own.

    Args:
        pool: an open pool.
        transaction: begins one.
    """

    def __init__(self, pool: Pool, transaction: Transaction = plain_transaction) -> None:
        self._pool = pool
        self._transaction = transaction

    def declare(self, engine_id: str, reason: str, unreached_seconds: float) -> None:
        parameters = {
            "engine_id": engine_id,
            "reason": f"declared lost: {reason}",
            "unreached_seconds": unreached_seconds,
        }
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            if connection.execute(_DECLARE, parameters).rowcount:
                return
            row = connection.execute(_REACHED, parameters).fetchone()
        if row is None:
            raise NotFound("engine")
        raise CommandRefused(
            f"a worker reached it {row['seconds']:.0f} s ago;"
            f" only one that none reached for {unreached_seconds:.0f} s is lost"
        )

    def image_ids(self, engine_id: str) -> Sequence[int]:
        return self._ids(_IMAGES, {"engine_id": engine_id})

    def build_ids(self, engine_id: str, image_id: int) -> Sequence[int]:
        return self._ids(_BUILDS, {"engine_id": engine_id, "image_id": image_id})

    def container_ids(self, engine_id: str, limit: int) -> Sequence[int]:
        return self._ids(_CONTAINERS, {"engine_id": engine_id, "limit": limit})

    def _ids(self, sql: LiteralString, parameters: Mapping[str, object]) -> list[int]:
        with translated_errors(), self._pool.connection() as connection:
            return [int(row["id"]) for row in connection.execute(sql, parameters).fetchall()]
