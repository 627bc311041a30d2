"""The connection pool of a process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

Pool = ConnectionPool[Connection[DictRow]]
# Makes what is done with a connection one transaction, which is committed at the end.
Transaction = Callable[[Connection[DictRow]], AbstractContextManager[object]]

# A statement that takes longer than this is stuck; nothing here scans more than one user's rows.
STATEMENT_TIMEOUT_MS = 15_000
# No transaction waits for anything but the database. Whoever is silent within one was stopped, and
# its locks would hold everybody up for as long as it is: with SKIP LOCKED its work is nobody's.
SILENCE_IN_TRANSACTION_MS = 10_000
# A caller is told soon that the database is away; whoever can wait asks again.
WAIT_SECONDS = 3.0

# An attempt to connect is repeated after 1, 2, 4 … seconds for as long as this, and begun anew by
# the next caller. With the library's 5 minutes a database that was away for two could be back for
# two more before anybody noticed.
_ATTEMPT_SECONDS = 4.0

# A server that vanished without a word (a lost machine, a network that drops) is noticed after
# about 10 s, idle or not, instead of the kernel's default of hours. As in the relay.
_VANISHED_SERVER = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

# The other way round: the session of a client that vanished so, with its locks, would stay as long.
# It does for at least these seconds after the last word of the client.
VANISHED_CLIENT_SECONDS = 10.0
_VANISHED_CLIENT = (
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    f" -c tcp_user_timeout={VANISHED_CLIENT_SECONDS * 1000:.0f}"
)

# The relay sends what is committed. What a crash of the server could still take back would be known
# to consumers, and its number given to another event. Stricter settings stay.
_KEEP_WHAT_IS_COMMITTED = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'
"""


def plain_transaction(connection: Connection[DictRow]) -> AbstractContextManager[object]:
    """Begin a transaction, and nothing beside it."""
    return connection.transaction()


def connection_options(application_name: str) -> dict[str, Any]:
    """Return the keyword arguments that every connection of ours is opened with."""
    return {
        "row_factory": dict_row,
        "application_name": application_name,
        "options": (
            f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={SILENCE_IN_TRANSACTION_MS}"
            f"{_VANISHED_CLIENT}"
        ),
        "connect_timeout": 5,
        **_VANISHED_SERVER,
    }


def create_pool(database_url: str, *, application_name: str, size: int) -> Pool:
    """Create a pool that is not open yet; its owner opens and closes it.

    Args:
        database_url: where PostgreSQL is; must bypass transaction poolers.
        application_name: shown in pg_stat_activity.
        size: connections at most.
    """
    return ConnectionPool(
        database_url,
        kwargs=connection_options(application_name),
        connection_class=Connection[DictRow],
        min_size=1,
        max_size=size,
        timeout=WAIT_SECONDS,
        reconnect_timeout=_ATTEMPT_SECONDS,
        check=ConnectionPool.check_connection,
        configure=_keep_what_is_committed,
        open=False,
        name=application_name,
    )


def _keep_what_is_committed(connection: Connection[DictRow]) -> None:
    connection.execute(_KEEP_WHAT_IS_COMMITTED)
    connection.commit()
