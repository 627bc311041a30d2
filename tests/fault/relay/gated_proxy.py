"""A proxy in front of a broker with a gate in each direction: for events, and for the answers.

Only what produces is held up, request by request; metadata and everything else goes through. So a
test decides what the broker has seen of several requests in flight, and when the client learns of
it. Requests are told apart by Kafka's framing: four bytes of length, two that say which kind.
"""

import socket
import threading
from collections import deque

from tests.fault.relay.proxy import Proxy

_PRODUCE = 0
_LENGTH_BYTES = 4
_KIND = slice(4, 6)
_CHUNK_BYTES = 65_536

Held = tuple[socket.socket, bytes]


class GatedProxy(Proxy):
    """Both gates are open until they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._requests_held = self._answers_held = False
        self._requests: deque[Held] = deque()
        self._answers: deque[Held] = deque()
        # Towards the client, of the connections that something was held on.
        self._producing: set[int] = set()

    @property
    def held(self) -> int:
        """How many requests wait at the gate."""
        return len(self._requests)

    @property
    def answers(self) -> int:
        """How many pieces of answers wait at the gate; an answer is one piece at least."""
        return len(self._answers)

    def hold(self) -> None:
        """Close both gates."""
        with self._lock:
            self._requests_held = self._answers_held = True

    def let_requests_through(self, number: int) -> None:
        """Pass the requests that came first; the others wait on."""
        with self._lock:
            for _ in range(number):
                self._send(self._requests)

    def open_for_requests(self) -> None:
        """Pass all that wait, and hold none that come."""
        with self._lock:
            self._requests_held = False
            while self._requests:
                self._send(self._requests)

    def open_for_answers(self) -> None:
        """Pass all that wait, and hold none that come."""
        with self._lock:
            self._answers_held = False
            while self._answers:
                self._send(self._answers)

    def pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        while frame := _frame(client):
            with self._lock:
                producing = int.from_bytes(frame[_KIND]) == _PRODUCE
                if producing:
                    self._producing.add(client.fileno())
                if self._requests_held and (producing or client.fileno() in self._producing):
                    self._requests.append((server, frame))
                    continue
            server.sendall(frame)

    def pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(_CHUNK_BYTES):
            with self._lock:
                if self._answers_held and client.fileno() in self._producing:
                    self._answers.append((client, data))
                    continue
            client.sendall(data)

    @staticmethod
    def _send(waiting: deque[Held]) -> None:
        sink, data = waiting.popleft()
        sink.sendall(data)


def _frame(source: socket.socket) -> bytes:
    """Return one request with its length before it; nothing at the end of the connection."""
    length = _exactly(source, _LENGTH_BYTES)
    return length + _exactly(source, int.from_bytes(length)) if length else b""


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            return b""
        data += more
    return bytes(data)
