"""What api and worker do before they serve; whatever is missing is told in one line."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

import structlog
from psycopg.errors import UndefinedTable
from psycopg_pool import PoolTimeout

from application.errors import DatabaseUnavailable
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.storage import Storage

# How long the database may take to be there, and to have its tables: containers of one compose file
# start together, the migrations among them.
CONNECT_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 0.5

log = structlog.get_logger(__name__)


class StartRefused(Exception):  # noqa: N818 - named by what happened
    """Something outside of this process is not as it needs it; the text names the variable."""


def open_storage(storage: Storage, settings: Settings) -> None:
    """Connect to the database, learn the installation's id, and make the volume's folders.

    Raises:
        StartRefused: one of them cannot be had.
    """
    try:
        storage.pool().open(wait=True, timeout=CONNECT_SECONDS)
        recorded_id = _recorded_installation_id(storage)
    except (PoolTimeout, DatabaseUnavailable) as exc:
        # Without the URL: it holds a password.
        raise StartRefused("DATABASE_URL: the database cannot be reached") from exc
    except UndefinedTable as exc:
        raise StartRefused(
            "DATABASE_URL: the database has no tables yet: run the migrations first"
        ) from exc
    storage.installation_id.override(settings.installation_id or recorded_id)
    try:
        storage.store().prepare()
    except OSError as exc:
        raise StartRefused(f"BUILD_CONTEXT_BASE_DIR: {exc}") from exc


def _recorded_installation_id(storage: Storage) -> str:
    """Return the id that the first migration made; waits for the migrations to run."""
    deadline = time.monotonic() + CONNECT_SECONDS
    waits = False
    while True:
        try:
            return storage.registry().installation_id()
        except UndefinedTable:
            if time.monotonic() >= deadline:
                raise
            if not waits:
                log.info("waiting for the migrations", seconds=CONNECT_SECONDS)
                waits = True
            time.sleep(_ASK_AGAIN_SECONDS)


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
