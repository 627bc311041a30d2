"""How a command ends when it does not succeed; the text is the one line that its operator reads.

CommandError
├── Refused          exit code 2: a bad argument or a wrong state; nothing changed
├── Failed           exit code 1: database, engine or volume did not do their part
├── DifferencesFound exit code 1: an audit told them; no text
└── ReaderGone       exit code 141: it was done, but nobody reads the outcome; no text

`InvalidSettings` of `entrypoints/settings.py` ends a command like `Refused`; a signal, see
`interruption.py`, with 128 + its number.
"""

# A failure is named by what happened, not by "Error": the root tells that it is one.
# ruff: noqa: N818

from __future__ import annotations


class CommandError(Exception):
    """Anything but success.

    Attributes:
        exit_code: of the process.
    """

    exit_code: int

    def add(self, so_far: str) -> None:
        """Append what was done before."""
        self.args = (f"{self}; {so_far}",)


class Refused(CommandError):
    """What was asked for cannot be; nothing changed."""

    exit_code = 2


class Failed(CommandError):
    """It could be tried again."""

    exit_code = 1


class DifferencesFound(CommandError):
    """What was audited does not agree."""

    exit_code = 1


class ReaderGone(CommandError):
    """Standard output leads nowhere any more; 141 is what SIGPIPE would have made of it."""

    exit_code = 141
