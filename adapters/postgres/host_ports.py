"""The pool of host ports in PostgreSQL."""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

from domain.errors import NoFreePort

# Least recently released first: whoever still talks to a port's last holder is least likely to
# meet a stranger there. Rows that another transaction is choosing are passed over.
_RESERVE = """
UPDATE host_ports SET container_id = %(container_id)s
WHERE (engine_id, port) = (
    SELECT engine_id, port FROM host_ports
    WHERE engine_id = %(engine_id)s AND container_id IS NULL AND free_after <= now()
    ORDER BY free_after, port
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING port
"""

# One that left the range while it was held is never free again: it is "infinity" from then on.
_RELEASE = """
UPDATE host_ports
SET container_id = NULL,
    free_after = CASE WHEN free_after = 'infinity' THEN free_after
                      ELSE now() + make_interval(secs => %(cool_down_seconds)s) END
WHERE container_id = %(container_id)s
"""


class PostgresHostPortPool:
    """Host ports of one transaction."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def reserve(self, engine_id: str, container_id: int) -> int:
        parameters = {"engine_id": engine_id, "container_id": container_id}
        row = self._connection.execute(_RESERVE, parameters).fetchone()
        if row is None:
            raise NoFreePort(engine_id)
        return int(row["port"])

    def release(self, container_id: int, cool_down_seconds: float) -> None:
        parameters = {"container_id": container_id, "cool_down_seconds": cool_down_seconds}
        self._connection.execute(_RELEASE, parameters)
