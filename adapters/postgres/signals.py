"""Wake-ups between processes: NOTIFY after commit, coalesced, and one LISTEN connection a process.

NOTIFY inside a transaction takes a lock at commit that serialises all of them, so it is sent
afterwards on a connection of its own. A wake-up may be lost (the process dies in between, the
listener reconnects): whoever waits for one polls as well, and `PostgresListener` reports a fresh
connection as if every channel had been signalled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from enum import StrEnum

import psycopg
import structlog

from adapters.postgres.pool import connection_options

_RECONNECT_SECONDS = 1.0
# How long a listener blocks before it looks whether it is to end.
_LISTEN_SLICE_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Channel(StrEnum):
    """What is signalled; a payload would only be stale."""

    WORK = "orchestrator_work"
    OUTCOME = "orchestrator_outcome"
    OUTBOX = "orchestrator_outbox"


_LISTEN = "LISTEN {}"
_NOTIFY = "SELECT pg_notify(channel, '') FROM unnest(%(channels)s::text[]) AS channel"


class PostgresNotifier:
    """Sends wake-ups from a thread of its own; signals that pile up meanwhile are sent once."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._pending: set[Channel] = set()
        self._condition = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Send what is pending and end."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def signal(self, channels: Iterable[Channel]) -> None:
        """Wake the listeners of `channels` soon; never blocks, never raises."""
        with self._condition:
            self._pending.update(channels)
            self._condition.notify()

    def _run(self) -> None:
        connection: psycopg.Connection[object] | None = None
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending or self._closed)
                channels, self._pending = self._pending, set()
                if not channels:
                    break
            try:
                if connection is None or connection.closed:
                    connection = _connect(self._database_url, "orchestrator-notifier")
                connection.execute(_NOTIFY, {"channels": [str(channel) for channel in channels]})
            except Exception as exc:
                # Lost on purpose: listeners poll, and a queue of stale wake-ups helps nobody.
                log.warning("wake-up lost", error=type(exc).__name__, exc_info=_unforeseen(exc))
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()


class PostgresListener:
    """Calls back when one of its channels is signalled, from one thread and connection.

    Args:
        database_url: where PostgreSQL is; must bypass transaction poolers.
        channels: what to listen for.
        on_signal: called from the listener's thread; must be quick.
    """

    def __init__(
        self,
        database_url: str,
        channels: Iterable[Channel],
        on_signal: Callable[[Channel], None],
    ) -> None:
        self._database_url = database_url
        self._channels = tuple(channels)
        self._on_signal = on_signal
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _LISTEN_SLICE_SECONDS + 1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except Exception as exc:
                log.warning(
                    "listener reconnects", error=type(exc).__name__, exc_info=_unforeseen(exc)
                )
                self._closing.wait(_RECONNECT_SECONDS)

    def _listen(self) -> None:
        with _connect(self._database_url, "orchestrator-listener") as connection:
            for channel in self._channels:
                connection.execute(psycopg.sql.SQL(_LISTEN).format(psycopg.sql.Identifier(channel)))
            for channel in self._channels:
                self._on_signal(channel)
            while not self._closing.is_set():
                for notification in connection.notifies(timeout=_LISTEN_SLICE_SECONDS):
                    self._on_signal(Channel(notification.channel))
                    if self._closing.is_set():
                        break


def _unforeseen(error: Exception) -> Exception | None:
    """Return what deserves a traceback: everything but a database that is away."""
    return None if isinstance(error, psycopg.Error) else error


def _connect(database_url: str, application_name: str) -> psycopg.Connection[object]:
    options = connection_options(application_name)
    return psycopg.connect(database_url, autocommit=True, **options)
