"""A container as plain strings and numbers: the rules of the design, written out a second time.

No code of the domain is used here. A run is named by the second at which it started.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# What may be recorded while the container is shown as …
OUTCOMES: dict[str, set[str]] = {
    "creating": {"running", "failed"},
    "running": {"running", "exited", "vanished"},
    "exited": {"running", "stopped", "vanished"},
    "stopping": {"stopped", "vanished"},
    "stopped": {"running", "vanished"},
    "starting": {"running", "stopped", "failed_start", "vanished"},
    "failed": set(),
    "deleting": {"run_ended", "deleted"},
    "deleted": set(),
}
EVERY_OUTCOME = sorted(set().union(*OUTCOMES.values()))

# The step that a claim shows, by what is desired and what is.
STEPS = {
    ("stopped", "running"): "stopping",
    ("running", "stopped"): "starting",
    ("running", "exited"): "starting",
    **{
        ("deleted", status): "deleting"
        for status in ("creating", "running", "exited", "stopping", "stopped", "starting", "failed")
    },
}


@dataclass(frozen=True)
class Told:
    """An event as it is to be told: its sequence is its place in the list, from 1."""

    type: str
    run: int | None
    cause: str


@dataclass
class ContainerModel:
    """What is desired, what is, and everything that was told."""

    status: str = "creating"
    desired: str = "running"
    generation: int = 1
    taken_up: bool = False
    wish_cause: str = "api"
    restart_cause: str | None = None
    open_run: int | None = None
    last_run: int | None = None
    restarts: int = 0
    holds_port: bool = True
    told: list[Told] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        enough = {"running": {"running", "exited"}, "stopped": {"stopped"}, "deleted": set()}
        finals = {"deleted"} if self.desired == "deleted" else {"deleted", "failed"}
        return self.status in enough[self.desired] | finals

    def wish(self, desired: str, cause: str) -> str:
        """Return "refused", "repeated" or "new"."""
        over = "deleted" in {self.desired, self.status}
        if desired == "deleted":
            if over:
                return "repeated"
        elif over or self.status == "failed" or (desired, self.status) == ("stopped", "creating"):
            return "refused"
        elif self.desired == desired:
            waits_for_policy = (desired, self.status) == ("running", "exited") and self.taken_up
            if not waits_for_policy:
                return "repeated"
        self.desired, self.wish_cause, self.restart_cause = desired, cause, None
        self.generation += 1
        self.taken_up = False
        return "new"

    def claim(self) -> bool:
        step = STEPS.get((self.desired, self.status))
        if step is not None:
            self.status = step
        return step is not None

    def allows(self, outcome: str) -> bool:
        gone = {"deleted", "vanished"}
        return outcome in OUTCOMES[self.status] or (
            outcome in gone and not gone.isdisjoint(OUTCOMES[self.status])
        )

    def record(self, outcome: str, *, run: int = 0, oom: bool = False) -> None:
        """Take an outcome that is allowed; it ends the claim of the latest wish."""
        self.taken_up = True
        if outcome == "running":
            self._running(run)
        elif outcome == "exited":
            self._end_run("oom" if oom else "crash")
            self.status = "exited"
            # The ends that are recorded here have exit code 0, which the policy leaves alone.
            self._plan_restart(answered=oom)
        elif outcome == "stopped":
            self._end_run("oom" if oom else self.wish_cause)
            self.status = "stopped"
        elif outcome == "run_ended":
            self._end_run("oom" if oom else self.wish_cause)
        elif outcome in {"failed", "failed_start"}:
            self._tell("container.failed", None, "oom" if oom else "crash")
            self.status = "failed" if outcome == "failed" else "exited"
            self.holds_port = outcome != "failed"
            if outcome == "failed_start":
                self._plan_restart(answered=True)
        else:
            self._gone("reconciler" if outcome == "vanished" else self.wish_cause)

    def _running(self, run: int) -> None:
        if self.status == "running" and run == self.open_run:
            return
        self._end_run("reconciler")
        wished = self.restart_cause or self.wish_cause
        cause = wished if self.status in {"creating", "starting"} else "reconciler"
        self.restart_cause = None
        if self.status == "creating":
            self._tell("container.created", run, cause)
        else:
            self.restarts += 1
        self._tell("container.started", run, cause)
        self.open_run = self.last_run = run
        self.status = "running"

    def _plan_restart(self, *, answered: bool) -> None:
        self.restart_cause = "reconciler" if answered and self.desired == "running" else None

    def _gone(self, cause: str) -> None:
        self._end_run(cause)
        if self.told:
            self._tell("container.deleted", self.last_run, cause)
        self.status, self.holds_port = "deleted", False

    def _end_run(self, cause: str) -> None:
        if self.open_run is not None:
            self._tell("container.stopped", self.open_run, cause)
        self.open_run = None

    def _tell(self, type_: str, run: int | None, cause: str) -> None:
        self.told.append(Told(type_, run, cause))
