"""The images that users see, and the ends of their build logs."""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import LiteralString

from psycopg.rows import DictRow

from adapters.postgres.engine_trouble import IMAGE_WAITING
from adapters.postgres.instances import FLEET, FLEET_COLUMNS, shortfall_shown
from adapters.postgres.pool import Pool
from adapters.postgres.row_reader import RowReader
from application.errors import NotFound
from application.views import BuildLogView, ImageView, ImageWithContainersView
from domain.build import LogTail

_IMAGE_COLUMNS: LiteralString = (
    """
SELECT i.id, i.user_id, i.name, i.tag, i.app_hostname, i.container_port, i.min_instances,
       i.max_instances, i.cpu_limit::float8 AS cpu_limit, i.memory_limit, i.restart_policy,
       i.status, coalesce(waiting.trouble, i.status_reason) AS status_reason, i.source_path,
       'nvidia-app-u' || i.user_id || '-i' || i.id || ':' || i.tag AS image_tag,
       active.docker_image_id AS image_digest, i.created_at, i.updated_at"""
    + FLEET_COLUMNS
)

_FROM_IMAGES: LiteralString = (
    """
FROM images i LEFT JOIN builds active ON active.id = i.active_build_id
"""
    + FLEET
    + IMAGE_WAITING
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


class ImageReader(RowReader):
    """Reads images.

    Args:
        pool: an open pool.
        live_log_tail: reads the end of a build log that is still being written.
    """

    def __init__(self, pool: Pool, live_log_tail: Callable[[str], LogTail]) -> None:
        super().__init__(pool)
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
