"""SIGINT and SIGTERM end a command at once, but never within a step that is whole or not at all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Somebody asked the process to end. As Ctrl-C does, it passes whoever catches failures.

    Attributes:
        exit_code: of the process.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class Interruption:
    """Turns signals into Interrupted, while it is entered."""

    def __init__(self) -> None:
        self._in_step = False
        self._number: int | None = None
        self._before: list[tuple[int, signal._HANDLER]] = []

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._note)) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    @contextmanager
    def whole_step(self) -> Iterator[None]:
        """Put a signal off until the step has ended.

        Raises:
            Interrupted: one came meanwhile.
        """
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False
        if self._number is not None:
            raise Interrupted(self._number)

    def _note(self, number: int, _: FrameType | None) -> None:
        if not self._in_step:
            raise Interrupted(number)
        self._number = number
