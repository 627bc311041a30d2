"""What users see, read from PostgreSQL in one query each."""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, LiteralString

from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.instances import FLEET, FLEET_COLUMNS, shortfall_shown
from adapters.postgres.pool import Pool
from application.errors import NotFound
from application.views import (
    BuildLogView,
    ContainerView,
    ImageView,
    ImageWithContainersView,
    Progress,
)
from domain.build import LogTail

_IMAGE_COLUMNS: LiteralString = (
    """
SELECT i.id, i.user_id, i.name, i.tag, i.app_hostname, i.container_port, i.min_instances,
       i.max_instances, i.cpu_limit::float8 AS cpu_limit, i.memory_limit, i.restart_policy,
       i.status, i.status_reason, i.source_path,
       'nvidia-app-u' || i.user_id || '-i' || i.id || ':' || i.tag AS image_tag,
       active.docker_image_id AS image_digest, i.created_at, i.updated_at"""
    + FLEET_COLUMNS
)

_FROM_IMAGES: LiteralString = (
    """
FROM images i LEFT JOIN builds active ON active.id = i.active_build_id
"""
    + FLEET
)

_IMAGES: LiteralString = (
    _IMAGE_COLUMNS
    + _FROM_IMAGES
    + """
WHERE i.user_id = %(user_id)s AND i.status <> 'deleted'
ORDER BY i.id DESC
"""
)

_IMAGES_WITH_CONTAINERS: LiteralString = (
    _IMAGE_COLUMNS
    + """,
       (SELECT count(*) FROM containers c
        WHERE c.image_id = i.id AND c.status <> 'deleted') AS container_count,
       (SELECT count(*) FROM containers c
        WHERE c.image_id = i.id AND c.status = 'running') AS running_count
"""
    + _FROM_IMAGES
    + """
WHERE i.user_id = %(user_id)s AND i.status <> 'deleted'
ORDER BY i.id DESC
"""
)

_IMAGE: LiteralString = (
    _IMAGE_COLUMNS
    + """,
       last.status AS build_status, last.log_path, last.log_tail, last.log_truncated
"""
    + _FROM_IMAGES
    + """
LEFT JOIN LATERAL (SELECT status, log_path, log_tail, log_truncated FROM builds b
                   WHERE b.image_id = i.id ORDER BY b.id DESC LIMIT 1) last ON true
WHERE i.id = %(image_id)s AND i.user_id = %(user_id)s AND i.status <> 'deleted'
"""
)

# Workers look at their engine every 5 s: one that none has told of for longer is out of reach.
_ENGINE_TROUBLE: LiteralString = """
CASE WHEN e.quarantined_at IS NOT NULL THEN 'the engine is in quarantine: an operator has to look'
     WHEN e.checked_at < now() - interval '30 seconds' THEN 'no worker is there for its engine'
     WHEN NOT e.reachable THEN 'the engine is not reachable at the moment' END
"""

# What is desired shows at once, before a worker has taken it up, and so does what it waits for.
_CONTAINER_COLUMNS: LiteralString = (
    """
SELECT c.id, c.image_id, c.user_id, c.name,
       CASE WHEN c.status = 'deleted' THEN 'deleted'
            WHEN c.desired = 'deleted' THEN 'deleting'
            WHEN c.desired = 'stopped' AND c.status IN ('running', 'starting') THEN 'stopping'
            WHEN c.desired = 'running' AND c.status = 'stopped' THEN 'starting'
            WHEN c.desired = 'running' AND c.status = 'exited'
                 AND c.generation > c.settled_generation THEN 'starting'
            ELSE c.status END AS status,
       CASE WHEN c.status IN ('creating', 'starting', 'stopping', 'deleting')
                 OR c.desired = 'deleted' OR (c.desired, c.status) IN (
                     ('stopped', 'running'), ('stopped', 'exited'), ('running', 'stopped'))
            THEN coalesce("""
    + _ENGINE_TROUBLE
    + """, c.status_reason) ELSE c.status_reason END AS status_reason,
       c.desired, c.docker_id AS container_id, c.container_ip, c.host, c.internal_port,
       c.external_port, c.app_hostname, c.exit_code, c.oom_killed,
       c.restart_policy, c.restart_count, c.crash_count,
       CASE WHEN c.status = 'exited' AND c.desired = 'running' THEN c.restart_at END
           AS next_restart_at,
       c.last_log_lines, c.created_at, c.started_at, c.finished_at
FROM containers c JOIN engines e USING (engine_id)
"""
)

_CONTAINERS: LiteralString = (
    _CONTAINER_COLUMNS
    + """
WHERE c.user_id = %(user_id)s AND c.status <> 'deleted'
  AND (%(image_id)s::bigint IS NULL OR c.image_id = %(image_id)s)
ORDER BY c.id DESC
"""
)

_CONTAINER: LiteralString = (
    _CONTAINER_COLUMNS
    + "WHERE c.id = %(container_id)s AND c.user_id = %(user_id)s AND c.status <> 'deleted'"
)

_CONTAINERS_BY_ID: LiteralString = _CONTAINER_COLUMNS + "WHERE c.id = ANY(%(ids)s) ORDER BY c.id"

_IMAGE_EXISTS: LiteralString = """
SELECT 1 FROM images
WHERE id = %(image_id)s AND user_id = %(user_id)s AND status <> 'deleted'
"""

_PROGRESS_OF_CONTAINERS: LiteralString = """
SELECT id, generation, applied_generation, sequence > 0 AS told, status = 'deleted' AS gone
FROM containers WHERE id = ANY(%(ids)s)
"""

_PROGRESS_OF_IMAGES: LiteralString = """
SELECT id, 0 AS generation, 0 AS applied_generation, sequence > 0 AS told,
       status = 'deleted' AS gone
FROM images WHERE id = ANY(%(ids)s)
"""

_PROGRESS_OF_BUILDS: LiteralString = """
SELECT id, 0 AS generation, 0 AS applied_generation, true AS told,
       status NOT IN ('queued', 'running') AS gone
FROM builds WHERE id = ANY(%(ids)s)
"""


class PostgresReader:
    """Reads representations; another user's resource is as unknown as one that never was.

    Args:
        pool: an open pool.
        live_log_tail: reads the end of a build log that is still being written.
    """

    def __init__(self, pool: Pool, live_log_tail: Callable[[str], LogTail]) -> None:
        self._pool = pool
        self._live_log_tail = live_log_tail

    def images(self, user_id: str) -> Sequence[ImageView]:
        rows = self._rows(_IMAGES, {"user_id": user_id})
        return [
            ImageView(**shortfall_shown(row), build_logs=None, build_logs_truncated=None)
            for row in rows
        ]

    def images_with_containers(self, user_id: str) -> Sequence[ImageWithContainersView]:
        rows = self._rows(_IMAGES_WITH_CONTAINERS, {"user_id": user_id})
        return [
            ImageWithContainersView(
                **shortfall_shown(row), build_logs=None, build_logs_truncated=None
            )
            for row in rows
        ]

    def image(self, user_id: str, image_id: int) -> ImageView:
        row = self._image_row(user_id, image_id)
        log = self._log_tail(row)
        return ImageView(
            **shortfall_shown(row), build_logs=log.text, build_logs_truncated=log.truncated
        )

    def build_log(self, user_id: str, image_id: int) -> BuildLogView:
        row = self._image_row(user_id, image_id)
        log = self._log_tail(row)
        return BuildLogView(
            image_id=image_id, status=row["status"], build_logs=log.text, truncated=log.truncated
        )

    def containers(self, user_id: str, image_id: int | None = None) -> Sequence[ContainerView]:
        parameters = {"user_id": user_id, "image_id": image_id}
        rows = self._rows(_CONTAINERS, parameters)
        if image_id is not None and not rows and not self._rows(_IMAGE_EXISTS, parameters):
            raise NotFound("image")
        return [ContainerView(**row) for row in rows]

    def container(self, user_id: str, container_id: int) -> ContainerView:
        rows = self._rows(_CONTAINER, {"user_id": user_id, "container_id": container_id})
        if not rows:
            raise NotFound("container")
        return ContainerView(**rows[0])

    def containers_by_id(self, container_ids: Sequence[int]) -> Sequence[ContainerView]:
        rows = self._rows(_CONTAINERS_BY_ID, {"ids": list(container_ids)})
        return [ContainerView(**row) for row in rows]

    def progress_of_containers(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_CONTAINERS, {"ids": list(ids)})]

    def progress_of_images(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_IMAGES, {"ids": list(ids)})]

    def progress_of_builds(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_BUILDS, {"ids": list(ids)})]

    def _image_row(self, user_id: str, image_id: int) -> DictRow:
        rows = self._rows(_IMAGE, {"user_id": user_id, "image_id": image_id})
        if not rows:
            raise NotFound("image")
        return rows[0]

    def _log_tail(self, row: DictRow) -> LogTail:
        """Take the log's columns out of the row; a running build's log is on the volume."""
        status, path = row.pop("build_status"), row.pop("log_path")
        stored = LogTail(row.pop("log_tail") or "", bool(row.pop("log_truncated")))
        return self._live_log_tail(path) if status == "running" else stored

    def _rows(self, sql: LiteralString, parameters: Mapping[str, Any]) -> list[DictRow]:
        with translated_errors(), self._pool.connection() as connection:
            return connection.execute(sql, parameters).fetchall()
