"""A `FakeDocker` that processes share: it lives in the test, and outlives whoever acts on it."""

from __future__ import annotations

import contextlib
import secrets
import threading
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Self, cast

from tests.contracts.fake_docker import FakeDocker

# What is read of it rather than called.
_ATTRIBUTES = frozenset({"engine_id", "reachable", "app_of_builds", "started_at"})


class DockerServer:
    """Answers processes for one engine at a time. A context manager.

    Args:
        address: a path that a unix socket is made at.

    Attributes:
        docker: the engine that answers; another one may take its place.
        key: whoever connects has to know it.
    """

    def __init__(self, address: Path) -> None:
        self.docker = FakeDocker()
        self.address = str(address)
        self.key = secrets.token_hex(16)
        self._listener = Listener(self.address, "AF_UNIX", authkey=self.key.encode())

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        # Closing the listener ends this with an OSError; a client that was killed is an EOFError.
        with contextlib.suppress(OSError):
            while True:
                with contextlib.suppress(EOFError, ConnectionError):
                    client = self._listener.accept()
                    threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: Connection) -> None:
        with client, contextlib.suppress(EOFError, ConnectionError):
            while True:
                name, arguments, named = client.recv()
                client.send(self._answer(name, arguments, named))

    def _answer(
        self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[bool, Any]:
        try:
            found = getattr(self.docker, name)
            return True, found if name in _ATTRIBUTES else found(*arguments, **named)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the caller raises it
            return False, exc


class _RemoteDocker:
    def __init__(self, address: str, key: str) -> None:
        self._connection = Client(address, "AF_UNIX", authkey=key.encode())
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name in _ATTRIBUTES:
            return self._ask(name)
        return lambda *arguments, **named: self._ask(name, *arguments, **named)

    def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        with self._lock:
            self._connection.send((name, arguments, named))
            answered, result = self._connection.recv()
        if not answered:
            raise result
        return result


def remote_docker(address: str, key: str) -> FakeDocker:
    """Return the engine of a `DockerServer`, for another process."""
    return cast(FakeDocker, _RemoteDocker(address, key))
