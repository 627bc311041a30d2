"""When something that failed is tried again, and what counts as an attempt."""

import pytest

from application.errors import (
    BuildFailed,
    BuildInterrupted,
    BuildTimedOut,
    EngineError,
    EngineExhausted,
    EngineInterrupted,
    EngineTransient,
    EngineUnreachable,
    NameConflict,
    OutcomeUnknown,
    PortConflict,
)
from application.retries import settlement_after, weighed

# Jitter is by half to either side.
LEAST, MOST = 0.5, 1.5


@pytest.mark.parametrize("error", [EngineInterrupted("ends"), BuildInterrupted("ends")])
def test_what_we_ended_ourselves_is_due_at_once_and_counts_no_attempt(error: EngineError) -> None:
    settlement = settlement_after(error, 3)

    assert (settlement.applied, settlement.counts, settlement.retry_in_seconds) == (False, False, 0)


@pytest.mark.parametrize("attempts", [0, 50])
def test_an_engine_that_does_not_answer_counts_no_attempt_and_is_asked_again_soon(
    attempts: int,
) -> None:
    settlement = settlement_after(EngineUnreachable("nobody"), attempts)

    assert (settlement.applied, settlement.counts) == (False, False)
    assert settlement.retry_in_seconds is not None
    assert 2 * LEAST <= settlement.retry_in_seconds <= 2 * MOST


@pytest.mark.parametrize(
    "error",
    [
        EngineTransient("later"),
        OutcomeUnknown("cut off"),
        NameConflict("taken"),
        PortConflict("taken"),
    ],
)
@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 0.5), (1, 1), (2, 2), (5, 16), (6, 30), (9, 30), (10**6, 30)]
)
def test_an_attempt_that_failed_is_repeated_with_a_doubling_bounded_pause(
    error: EngineError, attempts: int, seconds: float
) -> None:
    settlement = settlement_after(error, attempts)

    assert (settlement.applied, settlement.counts) == (False, True)
    assert settlement.retry_in_seconds is not None
    assert seconds * LEAST <= settlement.retry_in_seconds <= seconds * MOST


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 5), (1, 10), (3, 30)])
def test_an_engine_without_room_is_given_longer(attempts: int, seconds: float) -> None:
    settlement = settlement_after(EngineExhausted("no space"), attempts)

    assert settlement.counts
    assert settlement.retry_in_seconds is not None
    assert seconds * LEAST <= settlement.retry_in_seconds <= seconds * MOST


def test_those_who_failed_together_do_not_return_together() -> None:
    pauses = {settlement_after(EngineTransient("later"), 4).retry_in_seconds for _ in range(50)}

    assert len(pauses) > 25


DOUBTFUL = [EngineTransient("broken pipe"), OutcomeUnknown("cut off"), BuildFailed("too long")]


@pytest.mark.parametrize("error", DOUBTFUL)
def test_an_error_of_an_engine_that_answers_is_what_it_was(error: EngineError) -> None:
    assert weighed(error, "engine-1", lambda: "engine-1") is error


@pytest.mark.parametrize("error", DOUBTFUL)
@pytest.mark.parametrize(
    "answer", [EngineUnreachable("nobody"), OutcomeUnknown("hangs"), EngineTransient("reset")]
)
def test_an_error_of_an_engine_that_does_not_answer_says_nothing_of_what_was_asked(
    error: EngineError, answer: EngineError
) -> None:
    assert isinstance(weighed(error, "engine-1", lambda: _raise(answer)), EngineUnreachable)


@pytest.mark.parametrize("error", DOUBTFUL)
def test_nor_does_one_after_which_another_engine_answers(error: EngineError) -> None:
    assert isinstance(weighed(error, "engine-1", lambda: "engine-2"), EngineUnreachable)


def test_a_worker_that_ends_while_it_asks_hands_back_what_it_has() -> None:
    answer = EngineInterrupted("this worker ends")

    assert weighed(OutcomeUnknown("cut off"), "engine-1", lambda: _raise(answer)) is answer


@pytest.mark.parametrize(
    "error",
    [
        EngineExhausted("no room"),
        NameConflict("taken"),
        PortConflict("taken"),
        BuildTimedOut("the build took longer than 900 seconds"),
    ],
)
def test_an_error_that_leaves_no_doubt_is_not_asked_about(error: EngineError) -> None:
    assert weighed(error, "engine-1", lambda: _raise(AssertionError("it was asked"))) is error


def _raise(error: Exception) -> str:
    raise error
