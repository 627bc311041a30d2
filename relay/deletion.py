"""Deleting what Kafka acknowledged from the outbox: published is what is not there any more."""

from collections.abc import Collection, Sequence

import psycopg
from psycopg import errors

DELETE = "DELETE FROM outbox WHERE id = ANY(%(ids)s::bigint[])"

# To lock a row takes the right to update one of its columns, though none is ever updated.
_DELETE_UNLOCKED = """
DELETE FROM outbox
WHERE id IN (SELECT id FROM outbox WHERE id = ANY(%(ids)s::bigint[]) FOR UPDATE SKIP LOCKED)
"""
_MISSING_GRANT = "SELECT format('GRANT UPDATE (bucket) ON outbox TO %I', current_user)"
_STILL_THERE = "SELECT id FROM outbox WHERE id = ANY(%(ids)s::bigint[])"


def delete_acknowledged(session: psycopg.Connection, ids: Sequence[int]) -> int:
    """Delete what Kafka acknowledged; return how many rows were still there.

    Raises:
        psycopg.Error: The session is lost or the statement failed; the rows will be sent again.
    """
    return session.execute(DELETE, {"ids": array_of(ids)}).rowcount


def delete_unlocked(session: psycopg.Connection, ids: Collection[int]) -> frozenset[int]:
    """Delete those that nobody has locked; return the ids of rows that are still there.

    Raises:
        psycopg.errors.InsufficientPrivilege: The role may not lock rows; it names the grant.
        psycopg.Error: The session is lost or a statement failed.
    """
    asked = {"ids": array_of(ids)}
    try:
        session.execute(_DELETE_UNLOCKED, asked)
    except errors.InsufficientPrivilege as exc:
        row = session.execute(_MISSING_GRANT).fetchone()
        raise errors.InsufficientPrivilege(
            f"rows of outbox are locked, and the role may not pass them over: {row and row[0]}"
        ) from exc
    return frozenset(id_ for (id_,) in session.execute(_STILL_THERE, asked))


def array_of(ids: Collection[int]) -> str:
    """Return PostgreSQL's text for an array: a fifth of what adapting a list of numbers costs."""
    return f"{{{','.join(map(str, ids))}}}"
