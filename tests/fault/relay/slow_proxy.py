"""A TCP proxy in front of a broker that lets only so many bytes through in a second."""

import contextlib
import socket
import threading
from typing import Self

_CHUNK_BYTES = 1_024


class SlowProxy:
    """Passes connections on, while entered; the target is told before the first one comes.

    Attributes:
        port: Where it listens, on loopback.
        bytes_per_second: Of each connection, towards the broker; None is as fast as it goes.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.bytes_per_second: float | None = None
        self._target = ""
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
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
                for source, sink, slow in ((client, server, True), (server, client, False)):
                    arguments = (source, sink, slow)
                    threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:  # noqa: FBT001 - an argument of Thread
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                sink.sendall(data)
                limit = self.bytes_per_second
                if slow and limit is not None:
                    self._ended.wait(len(data) / limit)
        # Each side learns of the other's end, and our sockets do not pile up.
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
