"""What api and worker do before they serve.

A database that is away, refuses, or has no tables yet may heal by itself: it is waited for, as long
as it takes, and the process is alive but not ready meanwhile, with the reason in one line. Whatever
does not heal (a malformed setting, a port that is taken, a volume that cannot be written, missing
certificates) ends it with one line that names the variable: whoever runs it may start it again.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import structlog
from psycopg.errors import UndefinedTable
from psycopg_pool import PoolTimeout

from adapters.postgres.pool import connection_options
from application.errors import DatabaseUnavailable, VolumeUntrusted
from entrypoints.settings import Settings
from entrypoints.starting_server import StartingServer

if TYPE_CHECKING:
    from entrypoints.composition.storage import Storage

_ASK_AGAIN_SECONDS = 0.5
# libpq tells each address that a name has.
_REASON_CHARACTERS = 300
# Without the URL: it holds a password.
_NO_CONNECTION = "DATABASE_URL: the database cannot be reached any more"
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")

_INSTALLATION_ID = "SELECT installation_id::text FROM installation"

log = structlog.get_logger(__name__)


class StartRefused(Exception):  # noqa: N818 - named by what happened
    """Something outside of this process is not as it needs it; the text names the variable."""


def end_on_signals() -> None:
    """Let SIGTERM and SIGINT end this process at once, until it has something to hand back.

    Without a handler they would not end process 1 of a container.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))


def open_storage(storage: Storage, settings: Settings, listener: socket.socket) -> None:
    """Make the volume's folders, wait for the database and its tables, connect; claim the volume.

    Args:
        listener: where the process will serve; until then it tells there what it waits for.

    Raises:
        StartRefused: something that does not heal by itself.
    """
    with _volume_refused():
        storage.store().prepare()
    with StartingServer(listener) as starting:

        def tell(reason: str) -> None:
            starting.detail = reason

        recorded_id = wait_for_database(settings.database_url, tell)
        storage.pool().open()
        while not (_has_connection(storage) and _has_claimed_volume(storage)):
            # It went away again since it was looked at.
            tell(_NO_CONNECTION)
            log.warning("not ready", waits_for=_NO_CONNECTION)
            recorded_id = wait_for_database(settings.database_url, tell)
    storage.installation_id.override(settings.installation_id or recorded_id)


def wait_for_database(database_url: str, tell: Callable[[str], None]) -> str:
    """Return the installation's id, that the first migration made, as soon as it can be read.

    Args:
        tell: is told why it cannot be yet, in one line without a secret.
    """
    told = None
    while True:
        reason, installation_id = _look(database_url)
        if installation_id is not None:
            return installation_id
        tell(reason)
        if reason != told:
            log.warning("not ready", waits_for=reason)
            told = reason
        time.sleep(_ASK_AGAIN_SECONDS)


def _has_connection(storage: Storage) -> bool:
    """Return whether the pool gives a connection within its usual wait.

    Its own `wait` would not do: an attempt that it gave up is begun anew by the next caller alone.
    """
    try:
        with storage.pool().connection():
            return True
    except PoolTimeout:
        return False


def _has_claimed_volume(storage: Storage) -> bool:
    """Return whether the volume is this installation's; False if the database did not tell.

    Raises:
        StartRefused: it is another's, or does not let itself be read.
    """
    try:
        with _volume_refused():
            storage.claim_volume().claim()
    except DatabaseUnavailable:
        return False
    return True


@contextmanager
def _volume_refused() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StartRefused(f"BUILD_CONTEXT_BASE_DIR: {exc.filename}: {exc.strerror}") from exc
    except VolumeUntrusted as exc:
        raise StartRefused(f"BUILD_CONTEXT_BASE_DIR: {exc}") from exc


def _look(database_url: str) -> tuple[str, str | None]:
    """Return why the database is of no use yet, or the installation's id."""
    options = connection_options("orchestrator-start") | {"row_factory": psycopg.rows.tuple_row}
    try:
        with psycopg.connect(database_url, autocommit=True, **options) as connection:
            row = connection.execute(_INSTALLATION_ID).fetchone()
    except UndefinedTable:
        return "DATABASE_URL: the database has no tables yet: run the migrations first", None
    except psycopg.Error as exc:
        # libpq names host, port and user here, and never the password.
        text = " ".join(str(exc).split()) or type(exc).__name__
        return f"DATABASE_URL: the database cannot be used: {text}"[:_REASON_CHARACTERS], None
    return ("DATABASE_URL: no installation is recorded", None) if row is None else ("", row[0])


def check_certificates(settings: Settings) -> None:
    """Refuse to drive an engine over TLS without what its client needs.

    Raises:
        StartRefused: a file is missing or cannot be read.
    """
    if settings.docker_tls_verify is None or settings.docker_cert_path is None:
        return
    for name in _CERTIFICATES:
        path = Path(settings.docker_cert_path, name)
        try:
            path.open("rb").close()
        except OSError as exc:
            raise StartRefused(f"DOCKER_CERT_PATH: {path}: {exc.strerror}") from exc


def listening_socket(host: str, port: int, *, variable: str) -> socket.socket:
    """Bind an address.

    Args:
        host: BIND_HOST.
        port: the port to listen on.
        variable: the one that the port came from, for the refusal of a taken one.

    Raises:
        StartRefused: it is taken, or is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        # A name that leads nowhere, or an address of another machine: no port would be free there.
        if isinstance(exc, socket.gaierror) or exc.errno == errno.EADDRNOTAVAIL:
            variable = "BIND_HOST"
        raise StartRefused(f"{variable}: cannot listen on {host}:{port}: {reason}") from exc
