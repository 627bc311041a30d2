"""A TCP proxy in front of a broker; what becomes of the bytes is the subclass's to say."""

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

Direction = Callable[[socket.socket, socket.socket], None]


class Proxy(ABC):
    """Passes connections on, while entered; the target is told before the first one comes.

    Attributes:
        port: Where it listens, on loopback.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._target = ""
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake the threads that wait for them.
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def lead_to(self, target: str) -> None:
        """Set where connections go to: host and port."""
        self._target = target

    @abstractmethod
    def pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        """Carry a connection's bytes to the broker, until either end closes."""

    @abstractmethod
    def pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        """Carry a connection's bytes back, until either end closes."""

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                host, _, port = self._target.rpartition(":")
                try:
                    server = socket.create_connection((host, int(port)))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for run, source, sink in (
                    (self.pass_requests, client, server),
                    (self.pass_answers, server, client),
                ):
                    arguments = (run, source, sink)
                    threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    @staticmethod
    def _carry(run: Direction, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            run(source, sink)
        # Each side learns of the other's end, and our sockets do not pile up.
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
