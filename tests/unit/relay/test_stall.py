"""Messages that get no answer are told once, and so is their end; in the end they are given up."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from relay.stall import Stall
from tests.unit.relay.clock import Clock
from tests.unit.relay.events import pending_event


class Client:
    """What a client has in flight, and the stall that is told of it as a term tells."""

    def __init__(self, clock: Clock, stall: Stall) -> None:
        self._clock = clock
        self._stall = stall
        self._in_flight: dict[int, float] = {}

    def send(self, *ids: int) -> None:
        self._in_flight |= dict.fromkeys(ids, self._clock.now)

    def answer(self, *ids: int) -> None:
        slowest = max(self._clock.now - self._in_flight.pop(id_) for id_ in ids)
        self._stall.note_acknowledged([pending_event(id_) for id_ in ids], slowest)

    def observed(self) -> str | None:
        first = next(iter(self._in_flight.items()), None)
        return self._stall.observe(first, under_way=len(self._in_flight))

    def replaced(self) -> "Client":
        """Return a new one that sends the same again."""
        self._stall.start_over()
        successor = Client(self._clock, self._stall)
        successor.observed()
        successor.send(*self._in_flight)
        return successor


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stall(clock: Clock) -> Stall:
    return Stall(clock)


@pytest.fixture
def client(clock: Clock, stall: Stall) -> Client:
    return Client(clock, stall)


def test_a_stall_is_warned_about_once_and_so_is_its_end(
    clock: Clock, client: Client, logs: list[EventDict]
) -> None:
    reasons = []
    client.send(1)
    for _ in range(40):
        reasons.append(client.observed())
        clock.now += 1.0
    client.answer(1)
    over = client.observed()

    assert reasons[:5] == [None] * 5
    assert reasons[39] == "the broker has acknowledged nothing for 39 s"
    assert over is None
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("publishing stalled", "warning"),
        ("publishing goes on", "info"),
    ]
    assert logs[1]["seconds"] == 40.0


def test_nothing_to_send_is_no_stall(clock: Clock, client: Client, logs: list[EventDict]) -> None:
    for _ in range(40):
        assert client.observed() is None
        clock.now += 1.0
    client.send(1)

    assert client.observed() is None
    assert logs == []


def test_acknowledgements_that_keep_coming_are_no_stall(
    clock: Clock, stall: Stall, client: Client, logs: list[EventDict]
) -> None:
    client.send(0)
    for id_ in range(40):
        client.send(id_ + 1)
        assert client.observed() is None
        clock.now += 4.0
        client.answer(id_)

    assert not stall.is_hopeless()
    assert logs == []


def test_one_that_stays_silent_while_others_are_answered_is_a_stall_and_given_up(
    clock: Clock, stall: Stall, client: Client, logs: list[EventDict]
) -> None:
    """Of two brokers the client has lost one."""
    client.send(1)
    reasons = []
    for other in range(2, 100):
        client.send(other)
        reasons.append(client.observed())
        if stall.is_hopeless():
            break
        clock.now += 1.0
        client.answer(other)

    assert reasons[5] == "an event has not been acknowledged for 5 s"
    assert len(reasons) == 31
    assert [line["event"] for line in logs] == ["publishing stalled"]


def test_an_answer_to_others_neither_ends_a_stall_nor_the_patience_that_grew_with_it(
    clock: Clock, stall: Stall, client: Client
) -> None:
    given_up_after = []
    reasons = []
    client.send(1)
    client.observed()
    for _ in range(3):
        began, other = clock.now, 1_000
        while not stall.is_hopeless():
            other += 1
            client.send(other)
            clock.now += 1.0
            client.answer(other)
            reasons.append(client.observed())
        given_up_after.append(clock.now - began)
        client = client.replaced()
        client.observed()

    assert given_up_after == [30, 60, 120]
    # The first five seconds are before the stall.
    assert None not in reasons[5:]


def test_on_a_slow_line_where_all_have_to_wait_nothing_is_given_up(
    clock: Clock, stall: Stall, client: Client
) -> None:
    """Twelve partitions take turns of ten seconds, and each has something new at its turn."""
    turn = 12
    client.send(*range(turn))
    for next_id in range(turn, 20 * turn):
        for _ in range(10):
            client.observed()
            assert not stall.is_hopeless()
            clock.now += 1.0
        client.send(next_id)
        client.answer(next_id - turn)


def test_the_last_of_the_partitions_that_take_turns_waits_for_its_own(
    clock: Clock, stall: Stall, client: Client
) -> None:
    """What was handed over first may be for the partition whose turn is the last."""
    client.send(*range(12))
    for answered in range(11, -1, -1):
        for _ in range(10):
            client.observed()
            assert not stall.is_hopeless(), answered
            clock.now += 1.0
        client.answer(answered)


def test_a_stall_is_told_until_something_is_heard_of_it_whatever_client_it_is(
    clock: Clock, stall: Stall, client: Client, logs: list[EventDict]
) -> None:
    """An alarm with a duration of minutes would never be raised."""
    client.send(1)
    client.observed()
    clock.now += 5.0
    reasons = [client.observed()]
    for _ in range(3):
        while not stall.is_hopeless():
            clock.now += 1.0
            reasons.append(client.observed())
        client = client.replaced()
        reasons.append(client.observed())
    client.answer(1)
    over = client.observed()

    assert len(reasons) > 200
    assert None not in reasons
    assert over is None
    assert [line["event"] for line in logs] == ["publishing stalled", "publishing goes on"]


def test_a_stall_whose_event_is_refused_is_over(clock: Clock, stall: Stall, client: Client) -> None:
    client.send(1)
    client.observed()
    clock.now += 6.0
    during = client.observed()

    stall.note_refused([pending_event(1)])
    after = Client(clock, stall).observed()

    assert (during is None, after) == (False, None)


def test_a_stall_whose_event_is_gone_is_over_when_nothing_waits_for_a_while(
    clock: Clock, stall: Stall, client: Client
) -> None:
    client.send(1)
    client.observed()
    clock.now += 6.0
    client.observed()
    stall.start_over()
    client = Client(clock, stall)

    reasons = []
    for id_ in range(2, 13):
        client.send(id_)
        reasons.append(client.observed())
        clock.now += 1.0
        client.answer(id_)

    assert None not in reasons[:10]
    assert reasons[10] is None


def test_what_is_silent_for_too_long_is_given_up_and_the_next_one_later(
    clock: Clock, stall: Stall, client: Client
) -> None:
    given_up_after = []
    client.send(1)
    for _ in range(5):
        given_up_after.append(_seconds_until_given_up(stall, client, clock))
        client = client.replaced()
    client.answer(1)
    client.send(2)

    after_one_that_answered = _seconds_until_given_up(stall, client, clock)

    assert given_up_after == [30, 60, 120, 240, 240]
    assert after_one_that_answered == 30


def test_an_answer_that_comes_when_it_was_given_up_counts_too(
    clock: Clock, stall: Stall, client: Client
) -> None:
    client.send(1, 2)
    _seconds_until_given_up(stall, client, clock)
    client.answer(1)

    assert _seconds_until_given_up(stall, client.replaced(), clock) == 30


def test_how_long_another_client_took_is_no_reason_to_wait_for_the_next_one(
    clock: Clock, stall: Stall, client: Client
) -> None:
    client.send(1)
    clock.now += 100.0
    client.answer(1)
    stall.start_over()
    client = Client(clock, stall)
    client.send(2)

    assert _seconds_until_given_up(stall, client, clock) == 30


def test_whoever_has_nothing_in_flight_is_not_given_up(
    clock: Clock, stall: Stall, client: Client
) -> None:
    client.send(1)
    client.observed()
    client.answer(1)
    client.observed()
    clock.now += 1_000.0

    assert not stall.is_hopeless()


def _seconds_until_given_up(stall: Stall, client: Client, clock: Clock) -> float:
    client.observed()
    began = clock.now
    while not stall.is_hopeless():
        clock.now += 1.0
        client.observed()
    return clock.now - began
