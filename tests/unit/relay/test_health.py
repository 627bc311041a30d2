"""Readiness believes what a watcher said for a while only."""

import pytest

from relay.health import SILENCE_SECONDS, Role, Status, Watched
from relay.watchers import pause_after


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_never_reached_is_trouble() -> None:
    assert Watched(Clock()).trouble == "not reached yet"


@pytest.mark.parametrize("said", [None, "_TRANSPORT: connection refused"])
def test_what_a_watcher_said_holds_until_it_is_silent_for_too_long(said: str | None) -> None:
    clock = Clock()
    watched = Watched(clock)
    watched.say(said)

    clock.now += SILENCE_SECONDS
    before = watched.trouble
    clock.now += 5.0

    assert before == said
    assert watched.trouble == f"no answer for {SILENCE_SECONDS + 5:.0f} s"


@pytest.mark.parametrize("silent", ["database", "broker"])
def test_a_relay_is_unready_while_what_it_needs_gives_no_answer(silent: str) -> None:
    clocks = {"database": Clock(), "broker": Clock()}
    status = Status(Role.LEADER, Watched(clocks["database"]), Watched(clocks["broker"]))
    status.database.say(None)
    status.broker.say(None)
    before = status.ready

    clocks[silent].now += SILENCE_SECONDS + 1

    assert (before, status.ready) == (True, False)
    assert f'"{silent}":"no answer for 11 s"'.encode() in status.describe()


def test_a_measurement_that_costs_much_is_made_more_seldom_within_bounds() -> None:
    assert [pause_after(took) for took in (0.01, 0.5, 4.0)] == [pytest.approx(0.1), 5.0, 10.0]


def test_a_server_that_hung_is_no_cost_of_the_measurement() -> None:
    assert pause_after(15.0) == 0.0
