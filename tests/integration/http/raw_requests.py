"""Requests byte by byte over a socket, for clients that behave as none should."""

import re
import socket
import time
from collections.abc import Callable
from threading import Event
from typing import Self
from urllib.parse import urlsplit

from tests.integration.http.edge import SECRET

DEADLINE_SECONDS = 10.0


class RawRequest:
    """A connection and what is sent on it. A context manager that hangs up.

    Args:
        url: where the api is.
        start: method and path.
        headers: beside those of the gateway.
    """

    def __init__(self, url: str, start: str, headers: dict[str, str]) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._socket = socket.create_connection((address.hostname, address.port), DEADLINE_SECONDS)
        given = {"Host": address.netloc, "X-User-Id": "ada", "X-Gateway-Secret": SECRET, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.send(f"{start} HTTP/1.1\r\n{head}\r\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body."""
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def answer(self) -> bytes:
        """Return the whole answer, by the length that it announces."""
        with self._socket.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            announced = re.search(rb"(?mi)^content-length: (\d+)\r$", head)
            assert announced is not None, head
            return head + stream.read(int(announced[1]))

    def hang_up(self) -> None:
        self._socket.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Ask again and again until the condition holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        Event().wait(0.02)
