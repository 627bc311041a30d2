"""A build under which its engine goes away is tried again: as none of three, and not for ever."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from application import retries
from application.engine_calls import BuildOrder
from application.errors import (
    BuildFailed,
    BuildInterrupted,
    EngineError,
    EngineTransient,
    EngineUnreachable,
    OutcomeUnknown,
    VolumeUnavailable,
)
from application.record_build import MAX_ATTEMPTS, MAX_BROKEN_OFF
from application.retries import UNREACHABLE_SECONDS
from tests.integration.worker.images import build, image_and_reason, told, uploaded
from tests.integration.worker.worker import Worker

GIVEN_UP = "given up: the engine or the database went away in each of 10 attempts"


@contextmanager
def building(worker: Worker, act: Callable[[BuildOrder], str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.engine, "build", act)
        yield


def attempt(worker: Worker, *, come_due: bool = True) -> None:
    worker.builds.act(worker.claim_build(), worker.engine_id)
    if come_due:
        worker.come_due()


def lose_engine(worker: Worker, times: int, *, come_due: bool = True) -> None:
    """Let the engine go away under so many attempts, and be back before the next one."""

    def go_away(_: BuildOrder) -> str:
        worker.docker.reachable = False
        raise EngineTransient("error reading from server: EOF")

    with building(worker, go_away):
        for _ in range(times):
            attempt(worker, come_due=come_due)
            worker.docker.reachable = True


def broken_off(worker: Worker) -> int:
    rows = worker.installation.rows("SELECT broken_off FROM builds ORDER BY id DESC LIMIT 1")
    return int(rows[0]["broken_off"])


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (BuildFailed("exit code: 137"), EngineUnreachable("nobody answers")),
        (BuildFailed("the step was killed"), OutcomeUnknown("it hangs")),
        (EngineTransient("transport is closing"), EngineUnreachable("nobody answers")),
        (OutcomeUnknown("cut off"), EngineTransient("connection reset")),
        (EngineUnreachable("cannot connect to the Docker daemon"), None),
    ],
)
def test_an_attempt_at_whose_end_the_engine_is_away_is_none_of_the_three(
    worker: Worker, error: EngineError, answer: EngineError | None
) -> None:
    image_id = uploaded(worker)

    def go_away(_: BuildOrder) -> str:
        if answer is not None:
            worker.engine.fail_next("engine_id", answer)
        raise error

    with building(worker, go_away):
        for number in range(1, MAX_ATTEMPTS + 2):
            attempt(worker)
            assert build(worker, image_id) == ("running", 0)
            assert broken_off(worker) == number
    worker.work()

    assert build(worker, image_id) == ("succeeded", 1)
    assert told(worker, image_id) == ["build_started", "ready"]


def test_an_attempt_at_whose_end_another_engine_answers_is_none_of_the_three(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    lease, held = worker.claim_build(), worker.engine.hold_next("build", after=True)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker.builds.act, lease, worker.engine_id)
        assert held.reached.wait(30)
        worker.engine.another_engine()
        held.let_go.set()
        running.result(30)

    assert (build(worker, image_id), broken_off(worker)) == (("running", 0), 1)


def test_a_build_that_takes_its_engine_down_each_time_is_given_up(worker: Worker) -> None:
    image_id = uploaded(worker)

    lose_engine(worker, MAX_BROKEN_OFF - 1)
    before = build(worker, image_id)
    lose_engine(worker, 1)

    assert before == ("running", 0)
    assert build(worker, image_id) == ("failed", 0)
    assert image_and_reason(worker, image_id) == ("build_failed", GIVEN_UP)
    assert told(worker, image_id) == ["build_started", "build_failed"]
    assert worker.work() == 0


def test_the_pause_grows_in_which_others_builds_come_to_their_end(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "UNREACHABLE_SECONDS", UNREACHABLE_SECONDS)
    uploaded(worker)
    at_most, at_least = [], []

    for _ in range(MAX_BROKEN_OFF - 1):
        # It begins at a time between these two looks at the clock, however long they take.
        (before,) = worker.installation.rows("SELECT now()")
        lose_engine(worker, 1, come_due=False)
        (row,) = worker.installation.rows("SELECT now(), next_attempt_at AS due FROM builds")
        at_most.append((row["due"] - before["now"]).total_seconds())
        at_least.append((row["due"] - row["now"]).total_seconds())
        worker.come_due()

    # Twice as long each time, give or take half of it.
    assert at_most[0] >= 1
    assert at_least[0] <= 3
    assert at_most[-1] >= 150
    assert all(seconds <= 450 for seconds in at_least)


def test_a_rebuild_begins_with_a_fresh_count(worker: Worker) -> None:
    image_id = uploaded(worker)
    lose_engine(worker, MAX_BROKEN_OFF)

    worker.installation.rebuild(image_id)
    lose_engine(worker, MAX_BROKEN_OFF - 1)
    worker.work()

    assert image_and_reason(worker, image_id) == ("ready", None)


def test_a_build_that_was_cancelled_meanwhile_is_cancelled_at_the_last_attempt_too(
    worker: Worker,
) -> None:
    image_id = uploaded(worker)
    lose_engine(worker, MAX_BROKEN_OFF - 1)

    def be_cancelled(_: BuildOrder) -> str:
        worker.installation.cancel(image_id)
        worker.docker.reachable = False
        raise EngineTransient("error reading from server: EOF")

    with building(worker, be_cancelled):
        attempt(worker)

    assert build(worker, image_id) == ("cancelled", 1)


@pytest.mark.parametrize(
    "error", [BuildInterrupted("this worker ends"), VolumeUnavailable("it is not mounted")]
)
def test_what_the_engine_is_not_the_cause_of_breaks_nothing_off(
    worker: Worker, error: BuildInterrupted | VolumeUnavailable
) -> None:
    image_id = uploaded(worker)

    def end(_: BuildOrder) -> str:
        raise error

    with building(worker, end):
        for _ in range(MAX_BROKEN_OFF):
            attempt(worker)

    assert (build(worker, image_id), broken_off(worker)) == (("running", 0), 0)


@pytest.mark.parametrize("answer", [EngineUnreachable("nobody"), OutcomeUnknown("it hangs")])
def test_an_engine_that_is_away_before_a_build_begins_breaks_nothing_off(
    worker: Worker, answer: EngineError
) -> None:
    image_id = uploaded(worker)

    for _ in range(MAX_BROKEN_OFF):
        worker.engine.fail_next("engine_id", answer)
        attempt(worker)

    assert (build(worker, image_id), broken_off(worker)) == (("running", 0), 0)
    assert "build" not in {kind for kind, _ in worker.engine.calls}
