"""What a command works on: the parts of a worker that does not serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg_pool import PoolTimeout

from application.errors import CommandRefused, DatabaseUnavailable, NotFound
from entrypoints.composition.worker import Worker
from entrypoints.settings import load_settings
from entrypoints.worker.commands.errors import Failed, Refused

# An operator waits: a database that is away is told soon.
_CONNECT_SECONDS = 5.0
# Shown in pg_stat_activity.
_APPLICATION_NAME = "orchestrator-command"


@contextmanager
def opened(environment: Mapping[str, str]) -> Iterator[Worker]:
    """Open the database, and nothing else: neither engine nor volume is touched by it.

    Raises:
        InvalidSettings: naming the variable.
        Refused: what the command asks for cannot be.
        Failed: the database does not answer, was lost, or has no tables.
    """
    worker = Worker(settings=load_settings(environment), application_name=_APPLICATION_NAME)
    with told_errors(), ExitStack() as parts:
        pool = worker.pool()
        parts.callback(pool.close, timeout=1.0)
        try:
            pool.open(wait=True, timeout=_CONNECT_SECONDS)
        except PoolTimeout as exc:
            # Without the URL: it holds a password.
            raise Failed("DATABASE_URL: the database cannot be reached") from exc
        given = worker.settings().installation_id
        worker.installation_id.override(given or worker.registry().installation_id())
        worker.notifier().start()
        parts.callback(worker.notifier().close)
        yield worker


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn what database and use cases raise into what an operator reads.

    Raises:
        Refused, Failed: in one line.
    """
    try:
        yield
    except NotFound as exc:
        raise Refused(str(exc)) from exc
    except CommandRefused as exc:
        raise Refused(str(exc)) from exc
    except DatabaseUnavailable as exc:
        raise Failed(str(exc)) from exc
    except (UndefinedTable, UndefinedColumn) as exc:
        raise Failed("DATABASE_URL: the database is not migrated: run the migrations") from exc
    except psycopg.Error as exc:
        raise Failed(f"the database failed: {type(exc).__name__}") from exc
