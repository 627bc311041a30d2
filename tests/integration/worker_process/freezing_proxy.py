"""A TCP proxy in front of PostgreSQL that can stop passing anything on, or cut all connections.

To its clients a frozen one looks like a database that accepts and never answers: the kernel goes on
acknowledging what they send. One that is cut looks like a server that restarts.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo


class FreezingProxy:
    """Passes connections on to the server behind a database URL, while it is entered.

    Args:
        port: where to listen; a free one if it is 0.
        accepting: listen at once; else from its entry, and until then connections are refused.
        most: so many connections are passed on, and all further ones refused; None for no limit.

    Attributes:
        port: where it listens.
        url: reaches the same database through the proxy.
        unanswered: set once somebody has said something to the frozen server.
    """

    def __init__(
        self,
        database_url: str,
        *,
        port: int = 0,
        accepting: bool = True,
        most: int | None = None,
    ) -> None:
        with psycopg.connect(database_url) as connection:
            self._target = (connection.info.host, connection.info.port)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        if accepting:
            self._listener.listen()
        self._most = most
        self._flowing = threading.Event()
        self._flowing.set()
        self._cut = threading.Event()
        self._sockets: list[socket.socket] = []
        self.unanswered = threading.Event()
        address = {"host": "127.0.0.1", "hostaddr": "127.0.0.1"}
        self.url = make_conninfo(database_url, port=self.port, **address)

    def __enter__(self) -> Self:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        _close([self._listener, *self._sockets])

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._cut.set()
        _close(self._sockets)

    def restore(self) -> None:
        """Pass new connections on again."""
        self._cut.clear()

    def freeze(self) -> None:
        self.unanswered.clear()
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass on what was said meanwhile, and whatever follows."""
        self._flowing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            for number in itertools.count(1):
                client, _ = self._listener.accept()
                if self._cut.is_set():
                    client.close()
                    continue
                if number == self._most:
                    self._listener.close()
                server = self._connect()
                self._sockets += [client, server]
                if self._cut.is_set():
                    # Since it was accepted.
                    _close([client, server])
                    continue
                for source, sink in ((client, server), (server, client)):
                    arguments = (source, sink, source is client)
                    threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = self._target
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _pass_on(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:  # noqa: FBT001 - an argument of Thread
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_client and not self._flowing.is_set():
                    self.unanswered.set()
                self._flowing.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _close(sockets: list[socket.socket]) -> None:
    # Closing alone would not wake the threads that wait for them.
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
