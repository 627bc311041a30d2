"""The gate that tests of requests in flight rest on, between a client and a server of bytes."""

import socket
from collections.abc import Iterator

import pytest

from tests.fault.relay.gated_proxy import GatedProxy
from tests.integration.relay.harness import wait_until

_PRODUCE, _METADATA = 0, 3


@pytest.fixture
def gates() -> Iterator[GatedProxy]:
    with GatedProxy() as gates:
        yield gates


@pytest.fixture
def ends(gates: GatedProxy) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client behind the gates and the server it talks to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gates.lead_to(f"127.0.0.1:{listener.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", gates.port), timeout=10) as client:
            server, _ = listener.accept()
            server.settimeout(10)
            with server:
                yield client, server


def test_answers_that_come_in_one_piece_are_counted_one_by_one(
    gates: GatedProxy, ends: tuple[socket.socket, socket.socket]
) -> None:
    client, server = ends
    gates.hold()
    numbers = range(1, 5)
    for number in numbers:
        client.sendall(_request(_PRODUCE, number))
    wait_until(lambda: gates.held == 4, "all requests wait")
    gates.open_for_requests()
    _receive(server, b"".join(_request(_PRODUCE, number) for number in numbers))

    answers = b"".join(_answer(number) for number in numbers)
    server.sendall(answers[:-3])
    wait_until(lambda: gates.answers == 3, "three are whole")
    server.sendall(answers[-3:])
    wait_until(lambda: gates.answers == 4, "and the fourth one is")
    gates.open_for_answers()

    _receive(client, answers)


def test_other_requests_and_their_answers_pass_what_is_held(
    gates: GatedProxy, ends: tuple[socket.socket, socket.socket]
) -> None:
    client, server = ends
    gates.hold()
    client.sendall(_request(_PRODUCE, 1) + _request(_METADATA, 2) + _request(_PRODUCE, 3))
    _receive(server, _request(_METADATA, 2))
    server.sendall(_answer(2))
    _receive(client, _answer(2))
    wait_until(lambda: gates.held == 2, "those that produce wait")

    gates.let_requests_through(1)
    _receive(server, _request(_PRODUCE, 1))
    client.sendall(_request(_METADATA, 4))
    _receive(server, _request(_METADATA, 4))
    server.sendall(_answer(1) + _answer(4))
    _receive(client, _answer(4))
    wait_until(lambda: gates.answers == 1, "the answer to the one that was let through waits")

    assert gates.held == 1
    gates.open_for_answers()
    _receive(client, _answer(1))


def _request(kind: int, number: int) -> bytes:
    return _message(kind.to_bytes(2) + (9).to_bytes(2) + number.to_bytes(4) + b"request")


def _answer(number: int) -> bytes:
    return _message(number.to_bytes(4) + b"answer")


def _message(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


def _receive(end: socket.socket, expected: bytes) -> None:
    received = b""
    while len(received) < len(expected):
        more = end.recv(len(expected) - len(received))
        assert more, "the connection ended"
        received += more
    assert received == expected
