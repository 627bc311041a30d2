"""How a command ends when it does not succeed; the text is the one line that its operator reads.

    CommandError
    ├── Refused        exit code 2: a bad argument or a wrong state; nothing changed
    ├── Failed         exit code 1: database, engine or volume did not do their part
    └── ReaderGone     exit code 141: nobody reads the outcome; no text

``InvalidSettings`` ends a command like ``Refused``.
"""

from __future__ import annotations


class CommandError(Exception):
    """Anything but success.

    Attributes:
        exit_code: Of the process.
    """

    exit_code: int

    def add(self, so_far: str) -> None:
        """Append what was done before."""
        self.args = (f"{self}; {so_far}",)


class Refused(CommandError):  # noqa: N818 - it tells what happened
    """What was asked for cannot be; nothing changed."""

    exit_code = 2


class Failed(CommandError):  # noqa: N818 - as above
    """It could be tried again."""

    exit_code = 1


class ReaderGone(CommandError):  # noqa: N818 - as above
    """Standard output leads nowhere any more; 141 is what SIGPIPE would have made of it."""

    exit_code = 141
