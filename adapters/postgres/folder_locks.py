"""Who decides of the folder of an image that is not recorded yet: its upload, or a sweep.

A sweep takes what has stood for a while without a row, and a process that was stopped before it
recorded its upload goes on later than any grace. Neither sees what the other is about to commit or
to remove, so each holds an advisory lock while it looks at both sides and decides. It ends with the
transaction, and nobody waits for more than the other's own: a sweep does not even wait for that.
"""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

# Any constant does, as long as nothing else in the database hashes with it ("ORCHFLDR" in ASCII).
# Two folders that share a number would wait for each other, or be left for the next sweep.
_SEED = int.from_bytes(b"ORCHFLDR", "big")

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(id)s::text, %(seed)s))"
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%(id)s::text, %(seed)s)) AS locked"


def lock_folder(connection: Connection[DictRow], image_id: int) -> None:
    """Keep sweeps from the folder until the end of the transaction."""
    connection.execute(_LOCK, {"id": image_id, "seed": _SEED})


def try_lock_folder(connection: Connection[DictRow], image_id: int) -> bool:
    """Keep an upload from being recorded until the end of the transaction, unless one just is."""
    row = connection.execute(_TRY_LOCK, {"id": image_id, "seed": _SEED}).fetchone()
    return row is not None and bool(row["locked"])
