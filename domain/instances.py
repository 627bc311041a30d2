"""How an image comes to its min_instances, how failures slow that down, and why it is short.

An instance is a container that is wished running and that runs, comes up, or will be started again
by its policy. An exited one that its policy leaves alone is idle: it is started again before a new
one is made. A stopped one is no instance, and yet keeps its slot: nothing is made above
max_instances.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause
from domain.limits import InstanceLimits
from domain.restart_policy import RestartBackoff

_S = ContainerStatus


@dataclass(frozen=True, slots=True)
class Replenishment:
    """How it goes with the containers that min_instances makes and starts.

    Attributes:
        failures: how many in a row did not come up, or soon ended and were left alone.
        after: when the next one is due, by the database's clock; None for at once.
        reason: what became of the last one, in one sentence.
    """

    failures: int = 0
    after: datetime | None = None
    reason: str | None = None

    def is_due(self, now: datetime) -> bool:
        return self.after is None or self.after <= now

    def postponed(self, reason: str, now: datetime, backoff: RestartBackoff) -> Replenishment:
        """Return this with the next attempt put off, without a failure."""
        return Replenishment(self.failures, now + backoff.after(max(self.failures, 1)), reason)

    def learned(
        self, container: Container, was: ContainerStatus, now: datetime, backoff: RestartBackoff
    ) -> Replenishment:
        """Return what follows from an outcome of a container.

        Only a container that min_instances wished running counts. One that came up for the first
        time ends a row of failures, and so does a run that lasted; one that came up again does not,
        or an app that always ends at once would be started for ever without a pause.

        Args:
            container: as it is now.
            was: its status before.
            now: the time, by the database's clock.
            backoff: how long the next attempt waits.
        """
        if container.wish_cause is not Cause.MIN_INSTANCES:
            return self
        if container.status is _S.RUNNING and was is _S.CREATING:
            # What was put off without a failure is for want of something else.
            return Replenishment() if self.failures else self
        left_alone = container.status is _S.EXITED and container.restart_at is None
        if container.status is not _S.FAILED and not left_alone:
            return self
        if was is _S.RUNNING and backoff.forgets(container.last_run_lasted):
            return Replenishment()
        failures = self.failures + 1
        return Replenishment(failures, now + backoff.after(failures), container.status_reason)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The containers of an image that are not deleted, by what they are for min_instances.

    Attributes:
        serving: instances.
        idle: exited, wished running, and left alone by their policy; see `is_idle`.
        stopped: wished stopped.
        live: neither failed nor deleted; each has a slot.
        attempts: instances that min_instances made or started and that have not come up yet.
    """

    serving: int = 0
    idle: int = 0
    stopped: int = 0
    live: int = 0
    attempts: int = 0

    @classmethod
    def of(cls, containers: Iterable[Container]) -> Fleet:
        them = list(containers)
        return cls(
            serving=sum(map(is_instance, them)),
            idle=sum(map(is_idle, them)),
            stopped=sum(c.desired is Desired.STOPPED and c.slot is not None for c in them),
            live=sum(c.slot is not None for c in them),
            attempts=sum(map(_is_attempt, them)),
        )

    def short(self, limits: InstanceLimits) -> int:
        """Return how many instances are missing."""
        return max(limits.minimum - self.serving, 0)

    def due(self, limits: InstanceLimits, replenishment: Replenishment, now: datetime) -> int:
        """Return how many are to be started or made now, as far as there is room for them.

        After a failure one at a time: what does not come up need not be made ten times over.
        """
        if not replenishment.is_due(now):
            return 0
        wanted = min(self.short(limits), self.idle + limits.left(self.live))
        if replenishment.failures:
            return max(min(wanted, 1 - self.attempts), 0)
        return wanted

    def why_short(
        self, limits: InstanceLimits, replenishment: Replenishment, now: datetime, *, built: bool
    ) -> str | None:
        """Return why instances are missing, in one sentence; None if they come right away."""
        if not self.short(limits):
            return None
        if not built:
            return "the image has no good build yet"
        if not self.idle and not limits.left(self.live):
            return self._why_full(limits.maximum)
        failures, reason = replenishment.failures, replenishment.reason
        told = f" after {failures} failure(s)" if failures else ""
        if replenishment.after is not None and not replenishment.is_due(now):
            at = replenishment.after.astimezone(UTC)
            return f"next attempt at {at:%Y-%m-%dT%H:%M:%SZ}{told}: {reason}"
        return f"one attempt at a time{told}: {reason}" if failures else None

    def _why_full(self, maximum: int) -> str:
        reached = f"max_instances={maximum} is reached"
        if self.stopped:
            return f"{reached} with {self.stopped} stopped container(s)"
        return f"{reached} until containers that are being deleted are gone"


def is_wished_running(container: Container) -> bool:
    """Whether it is wished running, and neither failed nor is gone."""
    over = container.status in {_S.FAILED, _S.DELETED}
    return container.desired is Desired.RUNNING and not over


def is_instance(container: Container) -> bool:
    """Whether it is wished running, and runs, comes up, or will be started by its policy."""
    return is_wished_running(container) and not is_idle(container)


def is_idle(container: Container) -> bool:
    """Whether it ended, is wished running, and yet nobody is going to start it."""
    return (
        container.desired is Desired.RUNNING
        and container.status is _S.EXITED
        and container.restart_at is None
        and not container.has_new_wish
    )


def _is_attempt(container: Container) -> bool:
    """Whether min_instances made or started it, and it has not come up yet."""
    wished = container.desired is Desired.RUNNING and container.wish_cause is Cause.MIN_INSTANCES
    if not wished or container.restart_cause is not None:
        return False
    begins = container.status is _S.EXITED and container.has_new_wish
    return begins or container.status in {_S.CREATING, _S.STARTING}
