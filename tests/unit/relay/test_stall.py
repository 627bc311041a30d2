"""A broker that hangs is told once, and so is its return."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from relay.stall import Stall


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def test_a_stall_is_warned_about_once_and_so_is_its_end(logs: list[EventDict]) -> None:
    clock = Clock()
    stall = Stall(clock)
    reasons = []
    for _ in range(40):
        reasons.append(stall.observe(under_way=1, acknowledged=0))
        clock.now += 1.0
    over = stall.observe(under_way=0, acknowledged=1)

    assert reasons[:5] == [None] * 5
    assert reasons[39] == "the broker has acknowledged nothing for 39 s"
    assert over is None
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("publishing stalled", "warning"),
        ("publishing goes on", "info"),
    ]
    assert logs[1]["seconds"] == 40.0


def test_nothing_to_send_is_no_stall(logs: list[EventDict]) -> None:
    clock = Clock()
    stall = Stall(clock)
    for _ in range(40):
        assert stall.observe(under_way=0, acknowledged=0) is None
        clock.now += 1.0

    assert stall.observe(under_way=1, acknowledged=0) is None
    assert logs == []


def test_acknowledgements_that_keep_coming_are_no_stall(logs: list[EventDict]) -> None:
    clock = Clock()
    stall = Stall(clock)
    for _ in range(40):
        assert stall.observe(under_way=7, acknowledged=1) is None
        clock.now += 4.0

    assert logs == []


def test_a_stall_that_an_error_ends_is_over_at_the_next_acknowledgement(
    logs: list[EventDict],
) -> None:
    clock = Clock()
    stall = Stall(clock)
    stall.observe(under_way=1, acknowledged=0)
    clock.now += 10.0
    stall.observe(under_way=1, acknowledged=0)

    # A new producer has nothing under way.
    during = stall.observe(under_way=0, acknowledged=0)
    again = stall.observe(under_way=1, acknowledged=0)
    stall.observe(under_way=0, acknowledged=1)

    assert (during, again) == (None, None)
    assert [line["event"] for line in logs] == ["publishing stalled", "publishing goes on"]


def test_what_is_silent_for_too_long_is_given_up_and_the_next_one_later(
    logs: list[EventDict],
) -> None:
    clock = Clock()
    stall = Stall(clock)

    given_up = [_seconds_until_given_up(stall, clock) for _ in range(5)]
    stall.observe(under_way=1, acknowledged=1)
    after_one_that_answered = _seconds_until_given_up(stall, clock)

    assert given_up == [30, 60, 120, 240, 240]
    assert after_one_that_answered == 30
    assert [line["event"] for line in logs].count("publishing goes on") == 1


def test_whoever_has_nothing_under_way_is_not_given_up() -> None:
    clock = Clock()
    stall = Stall(clock)
    stall.observe(under_way=1, acknowledged=0)
    stall.observe(under_way=0, acknowledged=1)
    clock.now += 1_000.0

    assert not stall.is_hopeless()


def _seconds_until_given_up(stall: Stall, clock: Clock) -> float:
    """Let a client with something under way acknowledge nothing."""
    stall.observe(under_way=0, acknowledged=0)
    stall.observe(under_way=1, acknowledged=0)
    began = clock.now
    while not stall.is_hopeless():
        clock.now += 1.0
        stall.observe(under_way=1, acknowledged=0)
    return clock.now - began
