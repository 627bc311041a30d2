"""A proxy in front of a broker that lets only so many bytes through in a second."""

import socket
import threading

from tests.fault.relay.proxy import Proxy

_CHUNK_BYTES = 1_024


class SlowProxy(Proxy):
    """Slow towards the broker, quick on the way back.

    Attributes:
        bytes_per_second: Of each connection; None is as fast as it goes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes_per_second: float | None = None
        self._ended = threading.Event()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        super().__exit__()

    def pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(_CHUNK_BYTES):
            server.sendall(data)
            limit = self.bytes_per_second
            if limit is not None:
                self._ended.wait(len(data) / limit)

    def pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(_CHUNK_BYTES):
            client.sendall(data)
