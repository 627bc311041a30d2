"""The time limit of a build, which counts only time in which the engine answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapters.docker.answered_time import Stopwatch

# While it is not known yet whether the engine answered lately, it is asked this often.
_TICK_SECONDS = 0.25


class BuildLimit:
    """Cuts a build off once it has used its time up.

    Args:
        seconds: for how long the engine may have answered until then.
        stopwatch: tells for how long it has.

    Attributes:
        reached: whether it has cut the build off.
    """

    def __init__(self, seconds: float, stopwatch: Stopwatch) -> None:
        self.reached = False
        self._seconds = seconds
        self._stopwatch = stopwatch
        self._over = threading.Event()

    @contextmanager
    def over(self, cut_off: Callable[[], None]) -> Iterator[None]:
        """Watch over what is done within this context.

        Args:
            cut_off: ends it; is called at most once, from another thread.
        """
        watch = threading.Thread(target=self._watch, args=(cut_off,), name="build-limit")
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            self._over.set()
            watch.join()

    def _watch(self, cut_off: Callable[[], None]) -> None:
        while (left := self._seconds - self._stopwatch()) > 0:
            if self._over.wait(max(left, _TICK_SECONDS)):
                return
        self.reached = True
        cut_off()
