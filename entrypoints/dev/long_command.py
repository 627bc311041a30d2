"""A program that takes minutes, whose last line is told every now and then."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

_TOLD_EVERY_SECONDS = 10.0
_KEPT_LINES = 60


class LongCommandError(RuntimeError):
    """It failed; the message is the end of its output."""


def run_long(argv: Sequence[str], what: str, say: Callable[[str], None]) -> None:
    """Run a program to its end.

    Args:
        argv: the program and its arguments.
        what: what it does, for whoever waits.
        say: is told its last line every 10 s.

    Raises:
        LongCommandError: its exit code was not 0.
    """
    began = told = time.monotonic()
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(  # noqa: S603 - the programs are ours
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        assert running.stdout is not None  # noqa: S101 - it is a pipe
        for line in running.stdout:
            if line.strip():
                last.append(line.strip())
            if last and time.monotonic() - told >= _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                say(f"{what}: {told - began:.0f} s, {last[-1][:100]}")
    if running.returncode:
        raise LongCommandError("\n".join(last))
