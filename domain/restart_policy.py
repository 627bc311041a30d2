"""Whether a container that ended by itself is started again, and how long that waits.

Docker's own restart policy is `no`: what restarts a container has to tell of it, and has to know
when it gives way to what a user wishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain.errors import InvalidValue


class RestartPolicy(StrEnum):
    """Which ends of a run are answered with a start; an end of the whole engine always is."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"

    def answers(self, exit_code: int | None, *, oom_killed: bool) -> bool:
        """Return whether a run that ended so is followed by another.

        Args:
            exit_code: None if it is not known, which counts as a failure.
            oom_killed: whether the kernel ended it.
        """
        if self is RestartPolicy.ON_FAILURE:
            return oom_killed or exit_code != 0
        return self is RestartPolicy.ALWAYS


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """How long a container rests before it is started again: doubling, bounded.

    A run that lasted for the ceiling was no part of a crash loop: the count begins anew.

    Attributes:
        first_seconds: after the first end, RESTART_BACKOFF_SECONDS.
        ceiling_seconds: at most; five minutes are what kubelet and Nomad settle on too.
    """

    first_seconds: float = 10.0
    ceiling_seconds: float = 300.0

    def after(self, ends_in_a_row: int) -> timedelta:
        """Return the pause after so many ends in a row, the first is 1."""
        doublings = min(max(ends_in_a_row - 1, 0), 32)
        return timedelta(seconds=min(self.first_seconds * 2**doublings, self.ceiling_seconds))

    def forgets(self, run: timedelta | None) -> bool:
        """Return whether a run was long enough to end a crash loop."""
        return run is not None and run.total_seconds() >= self.ceiling_seconds


def parsed_restart_policy(text: str) -> RestartPolicy:
    """Read a policy from text.

    Raises:
        InvalidValue: if it is none.
    """
    try:
        return RestartPolicy(text)
    except ValueError as exc:
        raise InvalidValue("restart_policy", "must be always, on-failure or never") from exc
