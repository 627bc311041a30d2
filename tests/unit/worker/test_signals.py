"""The threads that send and hear wake-ups outlive whatever goes wrong in them."""

import threading
from collections.abc import Iterator
from typing import Any, Self

import psycopg
import pytest

from adapters.postgres import signals
from adapters.postgres.signals import Channel, PostgresListener, PostgresNotifier


class FakeConnection:
    """A connection on which every channel was signalled once."""

    closed = False

    def __init__(self) -> None:
        self.executed: list[object] = []
        self.sent = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def execute(self, _: object, parameters: object = None) -> None:
        if parameters is not None:
            self.sent.set()

    def notifies(self, timeout: float) -> Iterator[psycopg.Notify]:
        yield psycopg.Notify(Channel.WORK, "", 1)

    def close(self) -> None:
        return


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """What is connected to, at the second attempt: the first fails as nobody foresaw."""
    connection = FakeConnection()
    outcomes: list[Any] = [RuntimeError("nobody foresaw this"), connection]

    def connect(*_: object) -> FakeConnection:
        outcome: FakeConnection | Exception = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(signals, "_connect", connect)
    monkeypatch.setattr(signals, "_RECONNECT_SECONDS", 0.01)
    return connection


def test_a_listener_hears_again_after_an_error_that_nobody_foresaw(
    connection: FakeConnection,
) -> None:
    heard: list[Channel] = []
    enough = threading.Event()

    def on_signal(channel: Channel) -> None:
        heard.append(channel)
        if len(heard) == 1:
            raise RuntimeError("nor this")
        enough.set()

    listener = PostgresListener("", (Channel.WORK,), on_signal)
    listener.start()

    assert enough.wait(10)
    listener.close()


def test_a_notifier_sends_again_after_an_error_that_nobody_foresaw(
    connection: FakeConnection,
) -> None:
    notifier = PostgresNotifier("")
    notifier.start()

    for _ in range(1000):
        notifier.signal({Channel.WORK})
        if connection.sent.wait(0.01):
            break

    assert connection.sent.is_set()
    notifier.close()
