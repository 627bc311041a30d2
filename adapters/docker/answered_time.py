"""For how long an engine answers, as far as looks at it can tell.

A build's time limit is for its steps: an engine that hangs, or a machine that is short of
everything, must not use it up. A look that is answered vouches for the time since the one before;
one that is not tells that the engine was away since then. So what is counted is as late as the next
look, and never more than the truth by anything that a look has found.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Tells for how many seconds the engine has answered since it was started.
Stopwatch = Callable[[], float]


def plain_stopwatch() -> Stopwatch:
    """Start to count, of an engine that nobody looks at."""
    began = time.monotonic()
    return lambda: time.monotonic() - began


class AnsweredTime:
    """Shared by who looks at an engine and who wants to know.

    Args:
        monotonic: a clock that is never set, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._away_seconds = 0.0

    def note_look(self, *, answered: bool) -> None:
        """Note whether the engine has just answered."""
        now = self._monotonic()
        with self._lock:
            if not answered and self._looked_at is not None:
                self._away_seconds += now - self._looked_at
            self._looked_at = now

    def stopwatch(self) -> Stopwatch:
        """Start to count for how long the engine answers from now on."""
        with self._lock:
            began, away_before = self._monotonic(), self._away_seconds

        def answered() -> float:
            with self._lock:
                until = began if self._looked_at is None else max(self._looked_at, began)
                return max(0.0, until - began - (self._away_seconds - away_before))

        return answered
