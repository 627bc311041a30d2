"""A build's time counts while its engine answers: by looks, whoever is asked when."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.docker.answered_time import AnsweredTime
from adapters.docker.build_limit import BuildLimit
from adapters.docker.container_engine import DockerContainerEngine
from application.errors import BuildInterrupted, BuildTimedOut, OutcomeUnknown
from tests.contracts.subjects import wait_until
from tests.unit.docker.shims import LIMIT, Mark, Shim, build_order


class Clock:
    """A clock that a test moves on."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def stopped() -> float:
    """Of an engine that never answers."""
    return 0.0


def watched(shim: Shim, stopwatch: Callable[[], float]) -> DockerContainerEngine:
    """A client that never ends by itself, of an engine that answers as long as a stopwatch says."""
    engine = shim('echo "#1 begun" >&2; exec sleep "$MARK"')
    engine._start_stopwatch = lambda: stopwatch
    return engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def time(clock: Clock) -> AnsweredTime:
    time = AnsweredTime(clock)
    time.note_look(answered=True)
    return time


def look(time: AnsweredTime, clock: Clock, seconds: float, *, answered: bool) -> None:
    """Let so many seconds pass until the next look."""
    clock.seconds += seconds
    time.note_look(answered=answered)


def test_what_an_answered_look_vouches_for_counts_from_when_it_is_asked_for(
    time: AnsweredTime, clock: Clock
) -> None:
    clock.seconds += 3
    answered = time.stopwatch()
    before = answered()
    look(time, clock, 2, answered=True)
    clock.seconds += 4

    unvouched = answered()
    look(time, clock, 1, answered=True)

    assert (before, unvouched, answered()) == (0, 2, 7)


def test_time_before_a_look_that_is_not_answered_does_not_count(
    time: AnsweredTime, clock: Clock
) -> None:
    answered = time.stopwatch()
    look(time, clock, 5, answered=True)
    look(time, clock, 5, answered=False)
    look(time, clock, 20, answered=False)
    while_away = answered()
    look(time, clock, 5, answered=True)

    assert (while_away, answered()) == (5, 10)


def test_what_was_not_answered_before_is_nothing_to_who_comes_later(
    time: AnsweredTime, clock: Clock
) -> None:
    look(time, clock, 60, answered=False)
    answered = time.stopwatch()
    look(time, clock, 5, answered=True)

    assert answered() == 5


def test_an_engine_that_was_never_looked_at_has_not_answered(clock: Clock) -> None:
    answered = AnsweredTime(clock).stopwatch()
    clock.seconds += 60

    assert answered() == 0


def test_a_build_is_cut_off_once_the_engine_has_answered_for_as_long(
    shim: Shim, tmp_path: Path
) -> None:
    # Whatever the clock says, it has answered for a moment more at each question.
    seconds = itertools.count(19.7, 0.1)
    engine, mark = watched(shim, lambda: next(seconds)), Mark()

    with mark, pytest.raises(BuildTimedOut, match=r"took longer than 20 seconds"):
        engine.build(build_order(tmp_path, seconds=20.0))

    assert not mark.processes()


def test_a_build_whose_engine_does_not_answer_has_not_reached_its_limit(
    shim: Shim, tmp_path: Path
) -> None:
    engine, mark = watched(shim, stopped), Mark()

    with mark, pytest.raises(OutcomeUnknown) as cut_off:
        engine.build(build_order(tmp_path, LIMIT))

    assert not isinstance(cut_off.value, BuildTimedOut)
    assert "within 1 seconds" in str(cut_off.value)
    assert not mark.processes()


def test_a_build_whose_engine_does_not_answer_ends_at_once_when_it_is_interrupted(
    shim: Shim, tmp_path: Path
) -> None:
    engine, mark = watched(shim, stopped), Mark()
    order = build_order(tmp_path, seconds=600.0)

    def interrupt() -> None:
        wait_until(lambda: order.log.exists() and order.log.read_text() != "")
        engine.interrupt_build(order.build_id)

    with mark:
        other = threading.Thread(target=interrupt)
        other.start()
        with pytest.raises(BuildInterrupted):
            engine.build(order)
        other.join()

    assert not mark.processes()


def test_what_ends_in_time_is_not_cut_off() -> None:
    cut_off: list[str] = []
    limit = BuildLimit(60.0, stopped)

    with limit.over(lambda: cut_off.append("cut off")):
        pass

    assert (limit.reached, cut_off) == (False, [])
    assert "build-limit" not in {thread.name for thread in threading.enumerate()}
