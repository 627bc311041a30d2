"""The lines a command writes: results on standard output, everything else on standard error.

Nothing that Docker, the volume or the database names can begin a second line or reach the terminal
as a control sequence, and a reader who has gone away ends a command quietly.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

from entrypoints.worker.commands.errors import Failed, ReaderGone


def say(line: str) -> None:
    """Write a result.

    Raises:
        ReaderGone: Nobody reads any more.
        Failed: It cannot be written for another reason.
    """
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
