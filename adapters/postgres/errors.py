"""Where psycopg's exceptions become ours, by the name of the constraint that was violated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from application.errors import DatabaseUnavailable


class TransactionConflict(DatabaseUnavailable):
    """The transaction lost against another one and is to be repeated; nothing was committed.

    To whoever does not repeat, a single query for example, the database was not available.
    """


# Two transactions chose the same value of something that is chosen afresh when repeated.
_REPEATABLE_CONSTRAINTS = frozenset(
    {
        "containers_uid_key",
        "containers_engine_name_key",
        "containers_image_slot_key",
        "containers_engine_port_key",
        "host_ports_container_id_key",
    }
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate what psycopg raises inside.

    Raises:
        TransactionConflict: a serialisation failure, a deadlock (40001, 40P01), or a violated
            constraint whose value is chosen afresh by a repetition.
        DatabaseUnavailable: no connection in time, it was lost, or the server cannot do what it
            could before: read-only since a failover (25006), an internal error (XX).
    """
    try:
        yield
    except (pg.SerializationFailure, pg.DeadlockDetected) as exc:
        raise TransactionConflict("the transaction lost against another") from exc
    except pg.UniqueViolation as exc:
        if exc.diag.constraint_name in _REPEATABLE_CONSTRAINTS:
            raise TransactionConflict("another transaction chose the same") from exc
        raise
    except psycopg.InternalError as exc:
        raise DatabaseUnavailable(f"the database failed: {type(exc).__name__}") from exc
    except (PoolTimeout, PoolClosed, TooManyRequests) as exc:
        raise DatabaseUnavailable("no database connection is free") from exc
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        raise DatabaseUnavailable(
            "the database was lost; look whether the request was recorded before repeating it"
        ) from exc
