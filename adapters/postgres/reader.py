"""What users see, and how far what they wish has come, read from PostgreSQL in one query each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import LiteralString

from adapters.postgres.container_reader import ContainerReader
from adapters.postgres.image_reader import ImageReader
from application.views import Progress

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


class PostgresReader(ImageReader, ContainerReader):
    """Reads representations; another user's resource is as unknown as one that never was.

    Args:
        pool: an open pool.
        live_log_tail: reads the end of a build log that is still being written.
    """

    def progress_of_containers(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_CONTAINERS, {"ids": list(ids)})]

    def progress_of_images(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_IMAGES, {"ids": list(ids)})]

    def progress_of_builds(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(**row) for row in self._rows(_PROGRESS_OF_BUILDS, {"ids": list(ids)})]
