"""What a long command does between two steps: tell how far it is, and end if it is asked to.

SIGINT and SIGTERM are asked for there, so that no step is cut in half.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from relay.commands.errors import Interrupted
from relay.commands.output import tell

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PROGRESS_SECONDS = 3.0


class Interruption:
    """Notes the first signal; a second one does what it would have done without us."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: list[tuple[int, signal._HANDLER]] = []

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._note)) for number in _SIGNALS]
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def between_steps(self, describe: Callable[[], str]) -> Callable[[], None]:
        """Return what to call as often as possible; it raises ``Interrupted`` after a signal.

        Args:
            describe: Tells how far the command is, every few seconds.
        """
        told_at = time.monotonic()

        def look() -> None:
            nonlocal told_at
            if self._number is not None:
                raise Interrupted(self._number)
            now = time.monotonic()
            if now - told_at >= _PROGRESS_SECONDS:
                told_at = now
                tell(describe())

        return look

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)
