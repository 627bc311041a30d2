"""What workers verified in Docker, and what is told of it: the runs of a container.

A run is one uninterrupted life of the process, told as started..stopped; `open_run_id` is the run
that was told as started and not yet as stopped. Every end of a run is told as stopped, and what
caused it follows from what was seen: nobody here may have ended it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.container_state import ContainerState
from domain.container_status import ContainerStatus, Desired
from domain.end_of_run import told_end, unwished_cause
from domain.errors import IllegalTransition
from domain.events import Cause, ContainerEventType
from domain.observation import Observation
from domain.restart_policy import RestartBackoff


@dataclass(slots=True, eq=False)
class ContainerRuns(ContainerState):
    """The outcomes that a container can have."""

    def record_running(self, seen: Observation, now: datetime) -> None:
        """Its port answered, or it was seen running though it should not: a run has begun.

        Of a run that is open already and is the one seen, only another address is told; if Docker's
        StartedAt differs, the open run ended unseen and is told as stopped first. A container in a
        crash loop keeps showing how it ended last.
        """
        if self.status is ContainerStatus.RUNNING and seen.run_id == self.open_run_id:
            self._see_again(seen, now)
            return
        first = self.status is ContainerStatus.CREATING
        previous = self._move(ContainerStatus.RUNNING)
        if self.open_run_id is not None:
            self._end_unseen(previous, Cause.RECONCILER, now)
        caused = previous in {ContainerStatus.CREATING, ContainerStatus.STARTING}
        cause = (self.restart_cause or self.wish_cause) if caused else Cause.RECONCILER
        self.restart_at = self.restart_cause = None
        if not first:
            self.restart_count += 1
        self.docker_id, self.container_ip = seen.docker_id, seen.container_ip
        self.open_run_id = self.last_run_id = seen.run_id
        self.started_at, self.last_seen_running_at = seen.started_at, now
        if not self.crash_count:
            self._forget_end()
        if first:
            self._raise(ContainerEventType.CREATED, previous, cause, now, seen.started_at)
        self._raise(ContainerEventType.STARTED, previous, cause, now, seen.started_at)

    def record_exited(self, seen: Observation, now: datetime, backoff: RestartBackoff) -> None:
        """It was seen not running while it should run: a crash, an OOM kill, or its own exit.

        Args:
            seen: its state in Docker.
            now: the time of this observation.
            backoff: how long it rests if its policy starts it again.
        """
        self._only_from(ContainerStatus.RUNNING, ContainerStatus.EXITED)
        previous = self._move(ContainerStatus.EXITED)
        self._note_end(seen)
        cause = unwished_cause(seen)
        self.status_reason = told_end(seen, cause)
        self._tell_stopped(previous, cause, seen.finished_at, now)
        self._plan_restart(cause, now, backoff)

    def record_run_ended(
        self, seen: Observation, now: datetime, *, found_ended: bool = False
    ) -> None:
        """It is verified not running on its way to deletion: the open run is told as stopped.

        Args:
            found_ended: whether it did not run any more when we came to end it.
        """
        self._only_from(ContainerStatus.DELETING, ContainerStatus.DELETING)
        self._note_end(seen)
        cause = self._cause_of_end(seen, found_ended=found_ended)
        self._tell_stopped(self.status, cause, seen.finished_at, now)

    def record_stopped(
        self, seen: Observation, now: datetime, *, found_ended: bool = False
    ) -> None:
        """It is verified not running, as desired, whoever ended it; as `record_run_ended`."""
        previous = self._move(ContainerStatus.STOPPED)
        self._note_end(seen)
        cause = self._cause_of_end(seen, found_ended=found_ended)
        self._tell_stopped(previous, cause, seen.finished_at, now)

    def record_failed_start(
        self, reason: str, logs: str, seen: Observation, now: datetime, backoff: RestartBackoff
    ) -> None:
        """A start of a container that ran before did not succeed; it is verified not running."""
        self._only_from(ContainerStatus.STARTING, ContainerStatus.EXITED)
        previous = self._move(ContainerStatus.EXITED)
        self._note_end(seen)
        self.status_reason, self.last_log_lines = reason, logs
        cause = Cause.OOM if seen.oom_killed else Cause.CRASH
        self._raise(ContainerEventType.FAILED, previous, cause, now, seen.finished_at)
        self._plan_restart(cause, now, backoff, failed=True)

    def record_failed(
        self, reason: str, logs: str, seen: Observation | None, now: datetime
    ) -> None:
        """It never came up; nothing of it is left in Docker. Final: port and slot are given back.

        Args:
            reason: what the user should know, in one sentence.
            logs: the last lines it wrote.
            seen: its last state in Docker, None if it never existed there.
            now: the time of this observation.
        """
        previous = self._move(ContainerStatus.FAILED)
        self.status_reason, self.last_log_lines = reason, logs
        if seen is not None:
            self.docker_id = seen.docker_id
            self.started_at = seen.started_at
            self._note_end(seen)
        cause = Cause.OOM if seen is not None and seen.oom_killed else Cause.CRASH
        self._raise(
            ContainerEventType.FAILED, previous, cause, now, seen.finished_at if seen else None
        )
        self.slot = self.external_port = None

    def record_deleted(self, now: datetime, *, cause: Cause | None = None) -> None:
        """It is verified absent; what was told of it is told as ended, and nothing else is.

        Args:
            cause: who removed it; None for whoever wished it deleted.
            now: the time of this observation.
        """
        teller = cause or self.wish_cause
        if self.open_run_id is not None:
            self._end_unseen(self.status, teller, now)
        previous = self._move(ContainerStatus.DELETED)
        self.restart_at = self.restart_cause = None
        if self.sequence:
            self._raise(ContainerEventType.DELETED, previous, teller, now, None)
        self.slot = self.external_port = None

    def note_setback(self, reason: str) -> None:
        """Tell why what is wished is not so yet, until it is."""
        self.status_reason = reason

    # ---- detail ----------------------------------------------------------------------------

    def _see_again(self, seen: Observation, now: datetime) -> None:
        self.last_seen_running_at = now
        if seen.container_ip != self.container_ip:
            self.container_ip = seen.container_ip
            self._raise(
                ContainerEventType.ENDPOINT_CHANGED, self.status, Cause.RECONCILER, now, None
            )

    def _only_from(self, step: ContainerStatus, to: ContainerStatus) -> None:
        """Refuse an outcome of another step, though its status might follow: its events differ."""
        if self.status is not step:
            raise IllegalTransition("container", self.status.value, to.value)

    def _cause_of_end(self, seen: Observation, *, found_ended: bool) -> Cause:
        """Tell who ended a run that was to be ended: whoever wished it, unless it ended before."""
        before = seen.finished_at is not None and seen.finished_at < self.wished_at
        if seen.oom_killed or (found_ended and before):
            return unwished_cause(seen)
        return self.wish_cause

    def _note_end(self, seen: Observation) -> None:
        if self.open_run_id is not None:
            # Not this run's: those of the one before, which a crash loop goes on showing.
            self.last_log_lines = None
        self.finished_at, self.exit_code = seen.finished_at, seen.exit_code
        self.oom_killed = seen.oom_killed

    def _end_unseen(self, previous: ContainerStatus, cause: Cause, now: datetime) -> None:
        """Tell that the open run is over, of which nobody can know when and how."""
        self._forget_end()
        self._tell_stopped(previous, cause, None, now)

    def _forget_end(self) -> None:
        self.finished_at = self.exit_code = self.oom_killed = self.last_log_lines = None

    def _tell_stopped(
        self, previous: ContainerStatus, cause: Cause, finished_at: datetime | None, now: datetime
    ) -> None:
        """End the open run, if one was told: its endpoint is the one that is to be forgotten."""
        if self.open_run_id is not None:
            self._raise(ContainerEventType.STOPPED, previous, cause, now, finished_at)
        self.open_run_id = self.container_ip = None

    def _plan_restart(
        self, cause: Cause, now: datetime, backoff: RestartBackoff, *, failed: bool = False
    ) -> None:
        """Decide by its policy whether and when it is started again.

        A run that the engine's own restart ended is resumed at once, whatever its exit code and
        policy say of the app: that did not end by itself.
        """
        self.restart_at = self.restart_cause = None
        if self.desired is not Desired.RUNNING:
            return
        if cause is Cause.ENGINE_RESTART:
            self.restart_at, self.restart_cause = now, Cause.ENGINE_RESTART
            return
        exit_code = None if failed else self.exit_code
        if not self.spec.restart_policy.answers(exit_code, oom_killed=bool(self.oom_killed)):
            self.crash_count = 0
            return
        lasted = None if failed else self.last_run_lasted
        self.crash_count = 1 if backoff.forgets(lasted) else self.crash_count + 1
        self.restart_at = now + backoff.after(self.crash_count)
        self.restart_cause = Cause.RECONCILER
