"""How a command ends when it does not succeed; the text is the one line that its operator reads.

    CommandError
    ├── Refused        exit code 2: a bad argument or a wrong state; nothing changed
    ├── Failed         exit code 1: database or broker did not do their part
    ├── Interrupted    exit code 128 + the signal's number
    └── ReaderGone     exit code 141: it was done, but nobody reads the outcome; no text

``SettingsError`` of ``relay/settings.py`` ends a command like ``Refused``.
"""

import signal


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


class Interrupted(CommandError):  # noqa: N818 - as above
    """Somebody asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class ReaderGone(CommandError):  # noqa: N818 - as above
    """Standard output leads nowhere any more; 141 is what SIGPIPE would have made of it."""

    exit_code = 141
