"""The prober against sockets of every manner."""

from __future__ import annotations

import queue
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from adapters.docker import port_probe
from adapters.docker.port_probe import REFUSED_SECONDS, SETTLE_SECONDS, PortProbe
from adapters.docker.readiness_prober import SelectorReadinessProber
from application.bring_up_container import Verdict

WAIT_SECONDS = 10.0
LOCALHOST = "127.0.0.1"

Serve = Callable[[socket.socket], None]


class Verdicts:
    """What the prober called back, in order."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[int, Verdict]] = queue.Queue()

    def __call__(self, key: int, verdict: Verdict) -> None:
        self._told.put((key, verdict))

    def next(self) -> tuple[int, Verdict]:
        return self._told.get(timeout=WAIT_SECONDS)

    @property
    def none_more(self) -> bool:
        return self._told.empty()


@pytest.fixture
def prober() -> Iterator[SelectorReadinessProber]:
    prober = SelectorReadinessProber()
    yield prober
    prober.close()


@pytest.fixture
def verdicts() -> Verdicts:
    return Verdicts()


@pytest.fixture
def slow_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that hangs up may take its time on a busy machine: it has more than 250 ms."""
    monkeypatch.setattr(port_probe, "SETTLE_SECONDS", 2.0)


def test_an_app_that_keeps_the_connection_open_is_ready(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        began = time.monotonic()
        prober.watch(1, _address(server), _in(WAIT_SECONDS), verdicts)

        assert verdicts.next() == (1, Verdict.READY)
        assert time.monotonic() - began >= SETTLE_SECONDS


def test_an_app_that_speaks_first_is_ready_even_if_it_then_closes(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with _serving(_greet) as address:
        prober.watch(1, address, _in(WAIT_SECONDS), verdicts)

        assert verdicts.next() == (1, Verdict.READY)


def test_a_port_that_nobody_listens_on_is_refused_after_a_while(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    began = time.monotonic()
    prober.watch(1, (LOCALHOST, _free_port()), _in(WAIT_SECONDS), verdicts)

    assert verdicts.next() == (1, Verdict.REFUSED)
    assert time.monotonic() - began >= REFUSED_SECONDS


@pytest.mark.usefixtures("slow_proxy")
@pytest.mark.parametrize("name", ["close", "reset"])
def test_a_proxy_without_an_app_behind_it_never_answers(
    prober: SelectorReadinessProber, verdicts: Verdicts, name: str
) -> None:
    with _serving(_close if name == "close" else _reset) as address:
        prober.watch(1, address, _in(1.5), verdicts)

        assert verdicts.next() == (1, Verdict.TIMED_OUT)


@pytest.mark.parametrize("name", ["close", "reset"])
def test_a_connection_closed_after_the_selector_looked_is_not_taken_for_an_open_one(
    verdicts: Verdicts, name: str
) -> None:
    with (
        socket.create_server((LOCALHOST, 0)) as server,
        selectors.DefaultSelector() as selector,
    ):
        probe = PortProbe(
            1, selector, socket.AF_INET, _address(server), _in(WAIT_SECONDS), verdicts, act_at=0.0
        )
        probe.due()
        assert selector.select(WAIT_SECONDS)
        probe.ready()
        assert probe.open_since is not None
        accepted, _ = server.accept()
        (_close if name == "close" else _reset)(accepted)
        assert selector.select(WAIT_SECONDS)

        assert probe.due() is None
        assert probe.connection is None


@pytest.mark.usefixtures("slow_proxy")
def test_an_app_that_begins_to_listen_later_is_found(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    dropped = threading.Semaphore(0)
    listens = threading.Event()

    def serve(connection: socket.socket) -> None:
        if listens.is_set():
            _greet(connection)
        else:
            _close(connection)
            dropped.release()

    with _serving(serve) as address:
        prober.watch(1, address, _in(WAIT_SECONDS), verdicts)
        assert dropped.acquire(timeout=WAIT_SECONDS)
        assert dropped.acquire(timeout=WAIT_SECONDS)
        listens.set()

        assert verdicts.next() == (1, Verdict.READY)


def test_a_connection_that_is_never_accepted_times_out(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with socket.create_server((LOCALHOST, 0), backlog=1) as server, _full(server):
        began = time.monotonic()
        prober.watch(1, _address(server), _in(1.0), verdicts)

        assert verdicts.next() == (1, Verdict.TIMED_OUT)
        assert time.monotonic() - began < WAIT_SECONDS / 2


def test_a_deadline_that_is_over_is_told_at_once(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    prober.watch(1, (LOCALHOST, _free_port()), _in(-1.0), verdicts)

    assert verdicts.next() == (1, Verdict.TIMED_OUT)


def test_an_unknown_host_is_no_answer(prober: SelectorReadinessProber, verdicts: Verdicts) -> None:
    prober.watch(1, ("no-such-host.invalid", 80), _in(WAIT_SECONDS), verdicts)

    assert verdicts.next() == (1, Verdict.REFUSED)


def test_names_are_resolved_by_whoever_watches(
    prober: SelectorReadinessProber, verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving: list[threading.Thread] = []
    resolve = socket.getaddrinfo

    def noted(host: str, port: int, *, type: socket.SocketKind) -> object:  # noqa: A002 - its name there
        resolving.append(threading.current_thread())
        return resolve(host, port, type=type)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    with socket.create_server((LOCALHOST, 0)) as server:
        prober.watch(1, ("localhost", _address(server)[1]), _in(WAIT_SECONDS), verdicts)
        verdicts.next()

    assert resolving == [threading.current_thread()]


@pytest.mark.usefixtures("slow_proxy")
def test_two_hundred_at_once_each_get_one_verdict(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    threads = threading.active_count()
    with socket.create_server((LOCALHOST, 0), backlog=256) as server, _serving(_close) as proxy:
        for key in range(200):
            address = _address(server) if key % 2 else proxy
            prober.watch(key, address, _in(3.0), verdicts)
        assert threading.active_count() <= threads + 1

        told = dict(verdicts.next() for _ in range(200))

    expected = {key: Verdict.READY if key % 2 else Verdict.TIMED_OUT for key in range(200)}
    assert told == expected
    assert verdicts.none_more


@pytest.mark.usefixtures("slow_proxy")
def test_what_is_forgotten_gets_no_verdict(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with _serving(_close) as proxy, socket.create_server((LOCALHOST, 0)) as server:
        # Not so early that its time could be over before it is forgotten.
        prober.watch(1, proxy, _in(2.5), verdicts)
        prober.forget(1)
        prober.forget(99)
        prober.watch(2, _address(server), _in(WAIT_SECONDS), verdicts)
        prober.watch(3, proxy, _in(3.0), verdicts)

        told = dict([verdicts.next(), verdicts.next()])
    assert told == {2: Verdict.READY, 3: Verdict.TIMED_OUT}
    assert verdicts.none_more


@pytest.mark.usefixtures("slow_proxy")
@pytest.mark.parametrize("again", [False, True])
def test_a_probe_that_is_forgotten_or_replaced_while_it_connects_gets_no_verdict(
    prober: SelectorReadinessProber, verdicts: Verdicts, *, again: bool
) -> None:
    with (
        socket.create_server((LOCALHOST, 0)) as silent,
        socket.create_server((LOCALHOST, 0)) as app,
    ):
        prober.watch(1, _address(silent), _in(WAIT_SECONDS), verdicts)
        # Were it not dropped, this one would be READY by staying open.
        accepted, _ = silent.accept()
        with accepted:
            if again:
                prober.watch(1, _address(app), _in(WAIT_SECONDS), verdicts)
            else:
                prober.forget(1)
            assert accepted.recv(1) == b""
        prober.watch(2, _address(app), _in(WAIT_SECONDS), verdicts)

        told = sorted(verdicts.next() for _ in range(1 + again))

    assert told == [(1, Verdict.READY), (2, Verdict.READY)][-1 - again :]
    assert verdicts.none_more


def test_a_key_that_is_watched_again_gets_the_verdict_of_its_last_probe(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with socket.create_server((LOCALHOST, 0)) as server:

        def change(_key: int, _verdict: Verdict) -> None:
            # In the prober's own thread: it takes no step between these.
            prober.watch(1, _address(server), _in(-1.0), verdicts)
            prober.forget(1)
            prober.watch(1, _address(server), _in(WAIT_SECONDS), verdicts)

        prober.watch(2, _address(server), _in(-1.0), change)

        assert verdicts.next() == (1, Verdict.READY)
    assert verdicts.none_more


def test_a_verdict_may_be_answered_by_watching_again(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    with socket.create_server((LOCALHOST, 0)) as server:

        def again(key: int, verdict: Verdict) -> None:
            verdicts(key, verdict)
            prober.watch(key, _address(server), _in(WAIT_SECONDS), verdicts)

        prober.watch(1, (LOCALHOST, _free_port()), _in(0.2), again)

        assert [verdicts.next(), verdicts.next()] == [(1, Verdict.TIMED_OUT), (1, Verdict.READY)]


def test_a_callback_that_raises_harms_no_other_probe(
    prober: SelectorReadinessProber, verdicts: Verdicts
) -> None:
    def raising(_key: int, _verdict: Verdict) -> None:
        raise LookupError("a bug of the caller")

    with socket.create_server((LOCALHOST, 0)) as server:
        prober.watch(1, _address(server), _in(WAIT_SECONDS), raising)
        prober.watch(2, _address(server), _in(WAIT_SECONDS), verdicts)

        assert verdicts.next() == (2, Verdict.READY)


def test_it_closes_with_probes_pending_and_tells_nothing_more(verdicts: Verdicts) -> None:
    prober = SelectorReadinessProber()
    with socket.create_server((LOCALHOST, 0), backlog=1) as server, _full(server):
        for key in range(20):
            prober.watch(key, _address(server), _in(WAIT_SECONDS), verdicts)

        prober.close()
        prober.close()
        prober.watch(99, _address(server), _in(0.0), verdicts)
        prober._thread.join(WAIT_SECONDS / 2)

    assert not prober._thread.is_alive()
    assert verdicts.none_more


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def _address(server: socket.socket) -> tuple[str, int]:
    host, port = server.getsockname()
    return host, port


def _free_port() -> int:
    with socket.create_server((LOCALHOST, 0)) as server:
        return _address(server)[1]


def _close(connection: socket.socket) -> None:
    connection.close()


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _greet(connection: socket.socket) -> None:
    connection.sendall(b"220 ready\r\n")
    connection.close()


@contextmanager
def _serving(serve: Serve) -> Iterator[tuple[str, int]]:
    """Yield the address of a server that does the same with every connection."""
    with socket.create_server((LOCALHOST, 0), backlog=256) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield _address(server)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def _full(server: socket.socket) -> Iterator[None]:
    """Fill the queue of a server that accepts nobody: later connections get no answer."""
    waiting: list[socket.socket] = []
    try:
        for _ in range(8):
            client = socket.socket()
            waiting.append(client)
            client.settimeout(0.2)
            try:
                client.connect(_address(server))
            except TimeoutError:
                break
        else:
            pytest.fail("the queue of a server that accepts nobody never fills")
        yield
    finally:
        for client in waiting:
            client.close()
