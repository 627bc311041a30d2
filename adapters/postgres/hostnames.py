"""Hostnames in PostgreSQL: the first claim wins while any image of that user holds it."""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

from domain.errors import HostnameTaken

# The update changes nothing: it locks the row, also against one that is just being released.
_CLAIM = """
INSERT INTO hostnames (hostname, user_id) VALUES (%(hostname)s, %(user_id)s)
ON CONFLICT ON CONSTRAINT hostnames_pkey DO UPDATE SET hostname = EXCLUDED.hostname
RETURNING user_id
"""

_LOCK = "SELECT 1 FROM hostnames WHERE hostname = %(hostname)s FOR UPDATE"

_RELEASE_UNHELD = """
DELETE FROM hostnames
WHERE hostname = %(hostname)s
  AND NOT EXISTS (SELECT 1 FROM images WHERE held_hostname = %(hostname)s)
"""


class PostgresHostnameRegistry:
    """Hostnames of one transaction; locked before any image."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def claim(self, hostname: str, user_id: str) -> None:
        parameters = {"hostname": hostname, "user_id": user_id}
        row = self._connection.execute(_CLAIM, parameters).fetchone()
        if row is None or row["user_id"] != user_id:
            raise HostnameTaken(hostname)

    def lock(self, hostname: str) -> None:
        self._connection.execute(_LOCK, {"hostname": hostname})

    def release_unheld(self, hostname: str) -> None:
        self._connection.execute(_RELEASE_UNHELD, {"hostname": hostname})
