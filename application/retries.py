"""When something that failed is tried again: jittered, doubling, bounded."""

from __future__ import annotations

import random

from application.errors import (
    EngineError,
    EngineExhausted,
    EngineInterrupted,
    EngineUnreachable,
)
from application.leases import Settlement

FIRST_SECONDS = 0.5
CEILING_SECONDS = 30.0
# Nobody answered: asking again costs little, and the engine is usually back within seconds.
UNREACHABLE_SECONDS = 2.0
# Disk space and address pools come back when something is removed, which takes a while.
EXHAUSTED_FIRST_SECONDS = 5.0

# These say nothing of what was asked: nobody was there to do it.
NO_ATTEMPT = (EngineUnreachable, EngineInterrupted)


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


def _jittered(seconds: float) -> float:
    """Spread by half to either side, so that many do not return at once."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, no secret
