"""When something that failed is tried again, and whether it counts: jittered, doubling, bounded.

A ceiling on attempts counts only what was tried while the engine answered. An engine that dies, or
hangs, under a call is not known by the call's own end: that may be anything from a broken
connection to a time limit. So it is asked afterwards whether it is there.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from application.errors import (
    BuildFailed,
    BuildTimedOut,
    EngineError,
    EngineExhausted,
    EngineInterrupted,
    EngineTransient,
    EngineUnreachable,
    OutcomeUnknown,
)
from application.leases import Settlement

FIRST_SECONDS = 0.5
CEILING_SECONDS = 30.0
# Nobody answered: asking again costs little, and the engine is usually back within seconds.
UNREACHABLE_SECONDS = 2.0
# What a build may have taken down: between its attempts others' builds, of minutes, are to end.
BREAK_OFF_CEILING_SECONDS = 300.0
# Disk space and address pools come back when something is removed, which takes a while.
EXHAUSTED_FIRST_SECONDS = 5.0

# These say nothing of what was asked: nobody was there to do it.
NO_ATTEMPT = (EngineUnreachable, EngineInterrupted)
# So may these, in which a call ends whose engine went away meanwhile. A build that used its time up
# did that while the engine answered.
_DOUBTFUL = (EngineTransient, OutcomeUnknown, BuildFailed)
_CERTAIN = (BuildTimedOut,)


def weighed(error: EngineError, engine_id: str, ask: Callable[[], str]) -> EngineError:
    """Return what an error is worth once the engine was asked whether it is there.

    Args:
        error: how a call of the engine ended.
        engine_id: the engine that it was made to.
        ask: asks for the id of the engine that answers now; may raise EngineError.

    Returns:
        The error itself if that engine answers, else one of NO_ATTEMPT.
    """
    if not isinstance(error, _DOUBTFUL) or isinstance(error, _CERTAIN):
        return error
    try:
        expect_engine(engine_id, ask)
    except NO_ATTEMPT as exc:
        return exc
    return error


def expect_engine(engine_id: str, ask: Callable[[], str]) -> None:
    """See that an engine is there.

    Args:
        engine_id: the one that is to answer.
        ask: asks for the id of the engine that answers now; may raise EngineError.

    Raises:
        EngineUnreachable: it does not answer, or another one does.
        EngineInterrupted: this worker ends.
    """
    try:
        answering = ask()
    except EngineInterrupted:
        raise
    except EngineError as exc:
        raise EngineUnreachable("the engine does not answer") from exc
    if answering != engine_id:
        raise EngineUnreachable("another engine answers")


def settlement_after(error: EngineError, attempts: int) -> Settlement:
    """Return how a claim ends that an engine error cut short.

    Args:
        error: what the engine said.
        attempts: how often it has been tried in vain before.
    """
    if isinstance(error, EngineInterrupted):
        return Settlement.again()
    if isinstance(error, EngineUnreachable):
        return Settlement.again(_jittered(UNREACHABLE_SECONDS))
    first = EXHAUSTED_FIRST_SECONDS if isinstance(error, EngineExhausted) else FIRST_SECONDS
    return Settlement.retry(_jittered(min(first * 2 ** min(attempts, 10), CEILING_SECONDS)))


def settlement_after_break_off(broken_off: int) -> Settlement:
    """Return how a claim ends under whose build the engine or the database went away.

    Args:
        broken_off: how often that has happened to it, this time included.
    """
    seconds = UNREACHABLE_SECONDS * 2 ** (broken_off - 1)
    return Settlement.again(_jittered(min(seconds, BREAK_OFF_CEILING_SECONDS)))


def _jittered(seconds: float) -> float:
    """Spread by half to either side, so that many do not return at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, no secret
