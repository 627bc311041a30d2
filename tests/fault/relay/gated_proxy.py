"""A proxy in front of a broker with a gate in each direction: for events, and for the answers.

Only what produces is held up, request by request and answer by answer; metadata and everything else
goes through, before or behind it. So a test decides what the broker has seen of several requests in
flight, and when the client learns of it.

They are told apart by Kafka's framing. A message is four bytes of length, then of a request two
that say which kind, two of its version and four of a number that its answer begins with.
"""

import contextlib
import socket
import threading
from collections import deque

from tests.fault.relay.proxy import Proxy

_PRODUCE = 0
_LENGTH_BYTES = 4
_KIND = slice(4, 6)
_NUMBER = slice(8, 12)
_NUMBER_IN_ANSWER = slice(4, 8)

Held = tuple[socket.socket, bytes]


class GatedProxy(Proxy):
    """Both gates are open until they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._requests_held = self._answers_held = False
        # Requests that hold these bytes wait although the gate is open, but for so many of them.
        self._held_bytes: bytes | None = None
        self._exceptions = 0
        self._requests: deque[Held] = deque()
        self._answers: deque[Held] = deque()
        # Of requests that produce and are not answered: the connection and the number.
        self._producing: set[tuple[socket.socket, bytes]] = set()

    @property
    def held(self) -> int:
        """How many requests wait at the gate."""
        return len(self._requests)

    @property
    def answers(self) -> int:
        """How many answers wait at the gate."""
        return len(self._answers)

    def hold(self) -> None:
        """Close both gates."""
        with self._lock:
            self._requests_held = self._answers_held = True

    def hold_what_holds(self, data: bytes, *, after: int = 0) -> None:
        """Hold the requests with ``data`` in them, and no others, until they are opened for.

        Args:
            after: How many of these to let through first.
        """
        with self._lock:
            self._held_bytes, self._exceptions = data, after

    def let_requests_through(self, number: int) -> None:
        """Pass the requests that came first; the others wait on."""
        with self._lock:
            for _ in range(number):
                self._send(self._requests)

    def open_for_requests(self) -> None:
        """Pass all that wait, and hold none that come."""
        with self._lock:
            self._requests_held = False
            self._held_bytes = None
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
                if int.from_bytes(frame[_KIND]) == _PRODUCE:
                    self._producing.add((client, frame[_NUMBER]))
                    if self._requests_held or self._is_singled_out(frame):
                        self._requests.append((server, frame))
                        continue
                # Within the lock: what a test lets through must not fall into the middle of it.
                server.sendall(frame)

    def pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        while frame := _frame(server):
            answered = (client, frame[_NUMBER_IN_ANSWER])
            with self._lock:
                if answered in self._producing:
                    self._producing.remove(answered)
                    if self._answers_held:
                        self._answers.append((client, frame))
                        continue
                client.sendall(frame)

    def _is_singled_out(self, frame: bytes) -> bool:
        if self._held_bytes is None or self._held_bytes not in frame:
            return False
        self._exceptions -= 1
        return self._exceptions < 0

    @staticmethod
    def _send(waiting: deque[Held]) -> None:
        sink, data = waiting.popleft()
        # What waited for an end that is gone is lost with it.
        with contextlib.suppress(OSError):
            sink.sendall(data)


def _frame(source: socket.socket) -> bytes:
    """Return one message with its length before it; nothing at the end of the connection."""
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
