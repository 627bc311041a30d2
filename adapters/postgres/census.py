"""The containers of an engine as a pass needs them, and what it notes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool, Transaction, plain_transaction
from adapters.postgres.repetition import repeated
from adapters.postgres.signals import Channel
from application.drift import Drift, Known
from domain.container_status import ContainerStatus

_TAKE_TURN = """
UPDATE engines SET next_pass_at = now() + make_interval(secs => %(interval)s)
WHERE engine_id = %(engine_id)s AND next_pass_at <= now() AND quarantined_at IS NULL
RETURNING engine_id
"""

_KNOWN = """
SELECT id, uid, docker_id, status, open_run_id, container_ip, missing_since IS NOT NULL AS missing,
       CASE WHEN status = 'exited' AND last_log_lines IS NULL THEN last_run_id END
           AS wordless_run_id
FROM containers
WHERE engine_id = %(engine_id)s AND status NOT IN ('failed', 'deleted')
ORDER BY id
"""

# Everybody locks containers ascending; an update alone would lock in the order of its plan.
_LOCK = "SELECT FROM containers WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"
# Each update by id, and only where it changes anything: a pass over containers that are as recorded
# writes once for all that run.
_NOMINATE = """
UPDATE containers SET nominated_at = now()
WHERE id = ANY(%(ids)s) AND nominated_at IS NULL AND status NOT IN ('failed', 'deleted')
"""
_NOMINATE_UIDS = """
WITH named AS (
    SELECT id FROM containers
    WHERE uid = ANY(%(uids)s) AND nominated_at IS NULL AND status NOT IN ('failed', 'deleted')
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE containers SET nominated_at = now() FROM named WHERE containers.id = named.id
"""
_MISSING = """
UPDATE containers SET missing_since = now()
WHERE id = ANY(%(ids)s) AND missing_since IS NULL AND status NOT IN ('failed', 'deleted')
"""
_BACK = "UPDATE containers SET missing_since = NULL WHERE id = ANY(%(ids)s)"
# A lease that has run out is nobody's, though nobody ended it. An outcome may have seen it later.
_RUNNING = """
UPDATE containers
SET last_seen_running_at =
    greatest(last_seen_running_at, now() - make_interval(secs => %(listed_seconds_ago)s))
WHERE id = ANY(%(ids)s) AND status = 'running' AND (lease_until IS NULL OR lease_until < now())
"""
_PASSED = """
UPDATE engines SET passed_at = now(), trusted_at = CASE WHEN %(alarm)s THEN trusted_at END
WHERE engine_id = %(engine_id)s
"""

_REQUEST = "UPDATE engines SET next_pass_at = now() WHERE engine_id = %(engine_id)s"

_IS_RECORDED = """
SELECT FROM containers
WHERE uid = %(uid)s AND status NOT IN ('failed', 'deleted')
  AND (docker_id IS NULL OR docker_id = %(docker_id)s)
"""

_QUARANTINE = """
UPDATE engines SET quarantined_at = now(), quarantine_reason = %(reason)s
WHERE engine_id = %(engine_id)s AND quarantined_at IS NULL AND trusted_at IS NULL
"""
_IS_TRUSTED = """
SELECT FROM engines WHERE engine_id = %(engine_id)s AND quarantined_at IS NULL
"""


class PostgresCensus:
    """Transactions of their own, none of them long.

    Args:
        pool: an open pool.
        signal: is told the channels to wake after a commit.
        transaction: begins one.
    """

    def __init__(
        self,
        pool: Pool,
        signal: Callable[[set[Channel]], None],
        transaction: Transaction = plain_transaction,
    ) -> None:
        self._pool = pool
        self._signal = signal
        self._transaction = transaction

    def take_turn(self, engine_id: str, interval_seconds: float) -> bool:
        parameters = {"engine_id": engine_id, "interval": interval_seconds}
        with self._changing() as connection:
            return connection.execute(_TAKE_TURN, parameters).fetchone() is not None

    def known(self, engine_id: str) -> Sequence[Known]:
        with translated_errors(), self._pool.connection() as connection:
            rows = connection.execute(_KNOWN, {"engine_id": engine_id}).fetchall()
        return [Known(**row | {"status": ContainerStatus(row["status"])}) for row in rows]

    def note(self, engine_id: str, drift: Drift, listed_seconds_ago: float) -> None:
        repeated(lambda: self._note(engine_id, drift, listed_seconds_ago))
        if drift.nominated:
            self._signal({Channel.WORK})

    def is_recorded(self, uid: UUID, docker_id: str) -> bool:
        parameters = {"uid": uid, "docker_id": docker_id}
        with translated_errors(), self._pool.connection() as connection:
            return connection.execute(_IS_RECORDED, parameters).fetchone() is not None

    def quarantine(self, engine_id: str, reason: str) -> bool:
        parameters = {"engine_id": engine_id, "reason": reason}
        with self._changing() as connection:
            connection.execute(_QUARANTINE, parameters)
            return connection.execute(_IS_TRUSTED, parameters).fetchone() is None

    def nominate(self, uids: Collection[UUID]) -> None:
        """Let containers be looked at: the engine told something of them."""
        with self._changing() as connection:
            changed = connection.execute(_NOMINATE_UIDS, {"uids": list(uids)}).rowcount
        if changed:
            self._signal({Channel.WORK})

    def request_pass(self, engine_id: str) -> None:
        """Let the next pass be due at once."""
        with self._changing() as connection:
            connection.execute(_REQUEST, {"engine_id": engine_id})

    # ---- detail ----------------------------------------------------------------------------

    def _note(self, engine_id: str, drift: Drift, listed_seconds_ago: float) -> None:
        updates = [
            (sql, ids)
            for sql, ids in (
                (_MISSING, drift.missing),
                (_BACK, drift.back),
                (_RUNNING, drift.running),
                (_NOMINATE, drift.nominated),
            )
            if ids
        ]
        parameters = {"engine_id": engine_id, "alarm": drift.alarm is not None}
        with self._changing() as connection:
            connection.execute(_LOCK, {"ids": [id_ for _, ids in updates for id_ in ids]})
            for sql, ids in updates:
                connection.execute(
                    sql, {"ids": list(ids), "listed_seconds_ago": listed_seconds_ago}
                )
            connection.execute(_PASSED, parameters)

    @contextmanager
    def _changing(self) -> Iterator[Connection[DictRow]]:
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            yield connection
