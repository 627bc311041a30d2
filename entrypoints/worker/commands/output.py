"""The lines a command writes: results on standard output, everything else on standard error.

Nothing that a row or an engine holds can begin a second line or reach the terminal as a control
sequence, and a reader who has gone away ends a command quietly. As in the relay's commands, which
share no code with ours.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from datetime import UTC, datetime

from entrypoints.worker.commands.errors import Failed, ReaderGone


def say(line: str) -> None:
    """Write a result.

    Raises:
        ReaderGone: nobody reads any more.
        Failed: it cannot be written for another reason.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(f"{printable(line)}\n")
        sys.stdout.flush()
    except OSError as exc:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(exc, BrokenPipeError):
            raise ReaderGone from exc
        raise Failed(f"the outcome cannot be written: {exc.strerror}") from exc


def tell(line: str) -> None:
    """Write to standard error; what is done does not depend on whether somebody watches."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{printable(line)}\n")
            sys.stderr.flush()


def make_tolerant() -> None:
    """Let both streams write any text, whatever encoding they have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Return the text in one line, whatever cannot be seen escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def moment(time: datetime | None) -> str:
    """Return RFC 3339 in UTC, to the millisecond; none for None."""
    if time is None:
        return "none"
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
