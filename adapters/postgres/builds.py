"""Builds in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.identities import next_id
from adapters.postgres.signals import Channel
from application.errors import NotFound
from domain.build import Build, BuildStatus, LogTail

_INSERT = """
INSERT INTO builds (id, image_id, user_id, status, engine_id, log_path, created_at,
                    next_attempt_at)
VALUES (%(id)s, %(image_id)s, %(user_id)s, %(status)s, %(engine_id)s, %(log_path)s,
        %(created_at)s, now())
"""

_COLUMNS = """
SELECT id, image_id, user_id, status, status_reason, cancel_requested, engine_id, attempt,
       broken_off, log_path, log_tail, log_truncated, docker_image_id, public_tag_set, created_at,
       started_at, finished_at
FROM builds
"""

_IDS_OF = "SELECT id FROM builds WHERE image_id = %(image_id)s ORDER BY id"

_LOCK = _COLUMNS + "WHERE id = %(id)s FOR NO KEY UPDATE"

_LOCK_UNFINISHED = (
    _COLUMNS + "WHERE image_id = %(image_id)s AND status IN ('queued', 'running') FOR NO KEY UPDATE"
)

# A build that was cancelled before it ran is due no more; one that waits for its next attempt is
# due at once, to be ended.
_UPDATE = """
UPDATE builds
SET status = %(status)s, status_reason = %(status_reason)s,
    cancel_requested = %(cancel_requested)s, engine_id = %(engine_id)s, attempt = %(attempt)s,
    broken_off = %(broken_off)s, log_tail = %(log_tail)s, log_truncated = %(log_truncated)s,
    docker_image_id = %(docker_image_id)s, public_tag_set = %(public_tag_set)s,
    started_at = %(started_at)s, finished_at = %(finished_at)s,
    next_attempt_at = CASE WHEN %(status)s IN ('failed', 'cancelled') THEN NULL
                           WHEN %(cancel_requested)s AND NOT cancel_requested THEN now()
                           ELSE next_attempt_at END
WHERE id = %(id)s
"""


class PostgresBuildRepository:
    """Builds of one transaction."""

    def __init__(self, connection: Connection[DictRow], signals: set[Channel]) -> None:
        self._connection = connection
        self._signals = signals

    def next_id(self) -> int:
        return next_id(self._connection, "builds")

    def add(self, build: Build) -> None:
        self._connection.execute(
            _INSERT,
            {
                "id": build.id,
                "image_id": build.image_id,
                "user_id": build.user_id,
                "status": build.status,
                "engine_id": build.engine_id,
                "log_path": build.log_path,
                "created_at": build.created_at,
            },
        )
        self._signals.add(Channel.WORK)

    def lock(self, build_id: int) -> Build:
        row = self._connection.execute(_LOCK, {"id": build_id}).fetchone()
        if row is None:
            raise NotFound("build")
        return _build(row)

    def ids_of(self, image_id: int) -> Sequence[int]:
        rows = self._connection.execute(_IDS_OF, {"image_id": image_id}).fetchall()
        return [int(row["id"]) for row in rows]

    def lock_unfinished(self, image_id: int) -> Build | None:
        row = self._connection.execute(_LOCK_UNFINISHED, {"image_id": image_id}).fetchone()
        return None if row is None else _build(row)

    def save(self, build: Build) -> None:
        self._connection.execute(
            _UPDATE,
            {
                "id": build.id,
                "status": build.status,
                "status_reason": build.status_reason,
                "cancel_requested": build.cancel_requested,
                "engine_id": build.engine_id,
                "attempt": build.attempt,
                "broken_off": build.broken_off,
                "log_tail": build.log.text,
                "log_truncated": build.log.truncated,
                "docker_image_id": build.docker_image_id,
                "public_tag_set": build.public_tag_set,
                "started_at": build.started_at,
                "finished_at": build.finished_at,
            },
        )
        self._signals.add(Channel.WORK)


def _build(row: DictRow) -> Build:
    return Build(
        id=row["id"],
        image_id=row["image_id"],
        user_id=row["user_id"],
        log_path=row["log_path"],
        created_at=row["created_at"],
        status=BuildStatus(row["status"]),
        status_reason=row["status_reason"],
        cancel_requested=row["cancel_requested"],
        engine_id=row["engine_id"],
        attempt=row["attempt"],
        broken_off=row["broken_off"],
        log=LogTail(row["log_tail"], row["log_truncated"]),
        docker_image_id=row["docker_image_id"],
        public_tag_set=row["public_tag_set"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
