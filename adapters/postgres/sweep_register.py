"""What is recorded of what a sweep finds, and whose turn it is to make one."""

# ruff: noqa: S608 - the statements are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.folder_locks import try_lock_folder
from adapters.postgres.pool import Pool, Transaction, plain_transaction
from application.leftovers import Recorded, RecordedBuild, RecordedImage
from application.mend_tags import BuildInUse
from domain.image_spec import repository_of

# What is recorded has to have stood a comparison with the engine: a pass without an alarm, since a
# backup came back if one did.
_PASSED = """
coalesce(passed_at > coalesce((SELECT max(at) FROM restorations), '-infinity'), false)
"""

_TAKE_TURN = f"""
UPDATE engines SET next_sweep_at = now() + make_interval(secs => %(interval)s)
WHERE engine_id = %(engine_id)s AND next_sweep_at <= now() AND quarantined_at IS NULL AND {_PASSED}
RETURNING engine_id
"""

_ENGINE = f"""
SELECT quarantine_reason, {_PASSED} AS passed FROM engines WHERE engine_id = %(engine_id)s
"""

_IMAGES = """
SELECT id, user_id, tag, status = 'deleted' AS is_deleted
FROM images WHERE id = ANY(%(ids)s::bigint[])
"""

# A build that is due has its public tag to set yet.
_BUILDS = """
SELECT b.id, b.image_id, b.docker_image_id,
       b.status IN ('queued', 'running') OR b.next_attempt_at IS NOT NULL
       OR coalesce(i.active_build_id = b.id, false) AND i.status <> 'deleted'
       OR EXISTS (SELECT FROM containers c
                  WHERE c.image_id = b.image_id AND c.build_id = b.id AND c.status <> 'deleted')
       AS needed
FROM builds b JOIN images i ON i.id = b.image_id
WHERE b.id = ANY(%(ids)s::bigint[]) OR b.docker_image_id = ANY(%(docker_image_ids)s::text[])
"""

_IN_USE = """
SELECT i.id AS image_id, i.user_id, i.tag, b.id AS build_id, b.docker_image_id, b.public_tag_set
FROM images i JOIN builds b ON b.id = i.active_build_id
WHERE i.status NOT IN ('deleting', 'deleted') AND b.engine_id = %(engine_id)s
  AND b.docker_image_id = ANY(%(docker_image_ids)s::text[])
ORDER BY i.id
"""


class PostgresSweepRegister:
    """Single statements, each in a transaction of its own.

    Args:
        pool: an open pool.
        transaction: begins one.
    """

    def __init__(self, pool: Pool, transaction: Transaction = plain_transaction) -> None:
        self._pool = pool
        self._transaction = transaction

    def take_turn(self, engine_id: str, interval_seconds: float) -> bool:
        parameters = {"engine_id": engine_id, "interval": interval_seconds}
        with (
            translated_errors(),
            self._pool.connection() as connection,
            self._transaction(connection),
        ):
            return connection.execute(_TAKE_TURN, parameters).fetchone() is not None

    def refusal(self, engine_id: str) -> str | None:
        with translated_errors(), self._pool.connection() as connection:
            row = connection.execute(_ENGINE, {"engine_id": engine_id}).fetchone()
        if row is None:
            return "no worker has ever seen this engine"
        reason = row["quarantine_reason"]
        if reason is not None:
            return f"the engine is in quarantine: {reason}"
        return None if row["passed"] else "no pass over this engine has found it in order yet"

    @contextmanager
    def folder_locked(self, image_id: int) -> Iterator[Recorded | None]:
        with translated_errors(), self._pool.connection() as connection, connection.transaction():
            # In this order: whoever had the lock before has committed, or will never.
            locked = try_lock_folder(connection, image_id)
            yield _recorded(connection, [image_id], [], []) if locked else None

    def recorded(
        self,
        image_ids: Collection[int],
        build_ids: Collection[int],
        docker_image_ids: Collection[str],
    ) -> Recorded:
        with translated_errors(), self._pool.connection() as connection:
            return _recorded(connection, image_ids, build_ids, docker_image_ids)

    def builds_in_use(
        self, engine_id: str, docker_image_ids: Collection[str]
    ) -> Sequence[BuildInUse]:
        parameters = {"engine_id": engine_id, "docker_image_ids": list(docker_image_ids)}
        with translated_errors(), self._pool.connection() as connection:
            rows = connection.execute(_IN_USE, parameters).fetchall()
        return [_build_in_use(row) for row in rows]


def _recorded(
    connection: Connection[DictRow],
    image_ids: Collection[int],
    build_ids: Collection[int],
    docker_image_ids: Collection[str],
) -> Recorded:
    builds = {"ids": list(build_ids), "docker_image_ids": list(docker_image_ids)}
    image_rows = connection.execute(_IMAGES, {"ids": list(image_ids)}).fetchall()
    build_rows = connection.execute(_BUILDS, builds).fetchall()
    return Recorded(
        {
            row["id"]: RecordedImage(row["user_id"], row["tag"], row["is_deleted"])
            for row in image_rows
        },
        {
            row["id"]: RecordedBuild(row["image_id"], row["docker_image_id"], row["needed"])
            for row in build_rows
        },
    )


def _build_in_use(row: DictRow) -> BuildInUse:
    repository = repository_of(row["user_id"], row["image_id"])
    return BuildInUse(
        image_id=row["image_id"],
        build_id=row["build_id"],
        docker_image_id=row["docker_image_id"],
        build_tag=f"{repository}:b{row['build_id']}",
        public_tag=f"{repository}:{row['tag']}" if row["public_tag_set"] else None,
    )
