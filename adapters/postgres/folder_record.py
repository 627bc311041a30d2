"""Which image folders the database knows of, and whose database it is."""

from __future__ import annotations

from collections.abc import Collection

from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import Pool
from application.claim_volume import RecordedFolders
from application.leftovers import ImageFolder

# A deleted image's folder may have been left by a crash; images from before there was a volume have
# none.
_FOLDERS = """
SELECT id, user_id, status NOT IN ('registered', 'deleting', 'deleted') AS expected
FROM images
WHERE id = ANY(%(ids)s::bigint[]) OR status NOT IN ('registered', 'deleting', 'deleted')
"""


class PostgresFolderRecord:
    """Single statements, each in a transaction of its own.

    Args:
        pool: an open pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._registry = PostgresEngineRegistry(pool)

    def installation_id(self) -> str:
        return self._registry.installation_id()

    def folders(self, found: Collection[ImageFolder]) -> RecordedFolders:
        parameters = {"ids": [folder.image_id for folder in found]}
        with translated_errors(), self._pool.connection() as connection:
            rows = connection.execute(_FOLDERS, parameters).fetchall()
        recorded = {ImageFolder(row["user_id"], row["id"]): row["expected"] for row in rows}
        return RecordedFolders(
            known=recorded.keys() & set(found),
            expected={folder for folder, expected in recorded.items() if expected},
        )
