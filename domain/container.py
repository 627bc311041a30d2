"""A container: what is desired of it, what was observed, and how one follows from the other.

The api owns `desired` and `generation`: a wish is recorded and never queued, the latest wins, and
delete is never taken back. Workers own everything else and report what they verified in Docker.
Events are raised here, while the state changes, so that none is recorded without the other.

A run is one uninterrupted life of the process, told as started..stopped; `open_run_id` is the run
that was told as started and not yet as stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.container_spec import ContainerSpec
from domain.container_state import ContainerState
from domain.container_status import ContainerStatus, Desired
from domain.errors import ContainerRefuses, IllegalTransition
from domain.events import Cause, ContainerEventType
from domain.observation import Observation

# Hexadecimal digits of the uid that end a container's name.
NAME_SUFFIX_DIGITS = 8

_ADVICE_DELETED = "it is being deleted"
_ADVICE_CREATING = "delete it instead"
_ADVICE_FAILED = "delete it and create another"


@dataclass(slots=True, eq=False)
class Container(ContainerState):
    """A container of a user."""

    @classmethod
    def create(
        cls,
        container_id: int,
        uid: UUID,
        spec: ContainerSpec,
        base_name: str,
        slot: int,
        external_port: int,
        *,
        cause: Cause,
        request_id: str | None,
        now: datetime,
    ) -> Container:
        """Desire a container that does not exist yet; its name ends in digits of its uid."""
        return cls(
            id=container_id,
            uid=uid,
            spec=spec,
            name=f"{base_name}-{uid.hex[:NAME_SUFFIX_DIGITS]}",
            created_at=now,
            slot=slot,
            external_port=external_port,
            wish_cause=cause,
            request_id=request_id,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be done until the next wish or observation."""
        return self.fulfils(self.desired)

    def fulfils(self, desired: Desired) -> bool:
        """Whether a wish has been carried out, as far as it can be.

        What failed or is gone gets no nearer to it; an exited container waits for its policy.
        """
        if self.status is ContainerStatus.DELETED:
            return True
        if desired is Desired.DELETED:
            return False
        if self.status is ContainerStatus.FAILED:
            return True
        if desired is Desired.STOPPED:
            return self.status is ContainerStatus.STOPPED
        return self.status in {ContainerStatus.RUNNING, ContainerStatus.EXITED}

    @property
    def has_new_wish(self) -> bool:
        """Whether no worker has taken up the latest wish to its end yet."""
        return self.generation > self.settled_generation

    # ---- wishes: the api's side ------------------------------------------------------------

    def request_start(self, *, cause: Cause, request_id: str | None) -> bool:
        """Wish it running; an exited one is started at once by it, whatever its backoff.

        Returns:
            Whether anything is to be done for it.

        Raises:
            ContainerRefuses: if it failed or is being deleted.
        """
        self._refuse_if_over(Desired.RUNNING)
        waits_for_policy = self.status is ContainerStatus.EXITED and not self.has_new_wish
        if self.desired is Desired.RUNNING and not waits_for_policy:
            return False
        self._wish(Desired.RUNNING, cause, request_id)
        return True

    def request_stop(self, *, cause: Cause, request_id: str | None) -> bool:
        """Wish it stopped; returns whether anything is to be done for it.

        Raises:
            ContainerRefuses: if it is still being created, failed, or is being deleted.
        """
        self._refuse_if_over(Desired.STOPPED)
        if self.status is ContainerStatus.CREATING:
            raise ContainerRefuses(self.status, Desired.STOPPED, _ADVICE_CREATING)
        if self.desired is Desired.STOPPED:
            return False
        self._wish(Desired.STOPPED, cause, request_id)
        return True

    def request_delete(self, *, cause: Cause, request_id: str | None) -> bool:
        """Wish it gone, in every state; returns whether anything is to be done for it."""
        if self._is_over:
            return False
        self._wish(Desired.DELETED, cause, request_id)
        return True

    # ---- a worker has claimed it -----------------------------------------------------------

    def begin(self) -> bool:
        """Show the step that leads from the status to what is desired; returns whether it moved.

        A stop that was begun is carried through before anything else but a delete. What vanished
        while its deletion was wished is gone already.
        """
        before = self.status
        if self.desired is Desired.DELETED:
            if self.status not in {ContainerStatus.DELETING, ContainerStatus.DELETED}:
                self._move(ContainerStatus.DELETING)
        elif self.desired is Desired.STOPPED and self.status is ContainerStatus.RUNNING:
            self._move(ContainerStatus.STOPPING)
        elif self.desired is Desired.RUNNING and self.status in {
            ContainerStatus.STOPPED,
            ContainerStatus.EXITED,
        }:
            self._move(ContainerStatus.STARTING)
        return self.status is not before

    def rename(self) -> None:
        """Take a longer name while it is being created: a stranger in Docker has the first one.

        Raises:
            ContainerRefuses: its name holds the whole uid already.
        """
        self._only_while_creating("renamed")
        base, _, suffix = self.name.rpartition("-")
        if len(suffix) >= len(self.uid.hex):
            raise ContainerRefuses(self.status, "renamed", "its name holds its whole uid already")
        self.name = f"{base}-{self.uid.hex[: len(suffix) + NAME_SUFFIX_DIGITS]}"

    def move_port(self, external_port: int) -> None:
        """Take another port while it is being created: a stranger on the host has the first one."""
        self._only_while_creating("moved to another port")
        self.external_port = external_port

    # ---- outcomes: what a worker verified in Docker -----------------------------------------

    def record_running(self, seen: Observation, now: datetime) -> None:
        """Its port answered, or it was seen running though it should not: a run has begun.

        A run that is open already and is the one seen changes nothing; if Docker's StartedAt
        differs, the open run ended unseen and is told as stopped first.
        """
        if self.status is ContainerStatus.RUNNING and seen.run_id == self.open_run_id:
            self.last_seen_running_at = now
            return
        first = self.status is ContainerStatus.CREATING
        previous = self._move(ContainerStatus.RUNNING)
        if self.open_run_id is not None:
            self._tell_stopped(previous, Cause.RECONCILER, None, now)
        caused = previous in {ContainerStatus.CREATING, ContainerStatus.STARTING}
        cause = self.wish_cause if caused else Cause.RECONCILER
        if not first:
            self.restart_count += 1
        self.docker_id, self.container_ip = seen.docker_id, seen.container_ip
        self.open_run_id = self.last_run_id = seen.run_id
        self.started_at, self.last_seen_running_at = seen.started_at, now
        self.finished_at = self.exit_code = self.oom_killed = self.last_log_lines = None
        if first:
            self._raise(ContainerEventType.CREATED, previous, cause, now, seen.started_at)
        self._raise(ContainerEventType.STARTED, previous, cause, now, seen.started_at)

    def record_exited(self, seen: Observation, now: datetime) -> None:
        """It was seen not running while it should run: a crash, an OOM kill, or its own exit."""
        self._only_from(ContainerStatus.RUNNING, ContainerStatus.EXITED)
        previous = self._move(ContainerStatus.EXITED)
        self._note_end(seen)
        cause = Cause.OOM if seen.oom_killed else Cause.CRASH
        self.status_reason = _told_exit(seen)
        self._tell_stopped(previous, cause, seen.finished_at, now)

    def record_run_ended(self, seen: Observation, now: datetime) -> None:
        """It is verified not running on its way to deletion: the open run is told as stopped."""
        self._only_from(ContainerStatus.DELETING, ContainerStatus.DELETING)
        self._note_end(seen)
        self._tell_stopped(self.status, self._cause_of_end(seen), seen.finished_at, now)

    def record_stopped(self, seen: Observation, now: datetime) -> None:
        """It is verified not running, as desired, whoever ended it."""
        previous = self._move(ContainerStatus.STOPPED)
        self._note_end(seen)
        self._tell_stopped(previous, self._cause_of_end(seen), seen.finished_at, now)

    def record_failed_start(self, reason: str, logs: str, seen: Observation, now: datetime) -> None:
        """A start of a container that ran before did not succeed; it is verified not running."""
        self._only_from(ContainerStatus.STARTING, ContainerStatus.EXITED)
        previous = self._move(ContainerStatus.EXITED)
        self._note_end(seen)
        self.status_reason, self.last_log_lines = reason, logs
        cause = Cause.OOM if seen.oom_killed else Cause.CRASH
        self._raise(ContainerEventType.FAILED, previous, cause, now, seen.finished_at)

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
            self._tell_stopped(self.status, teller, None, now)
        previous = self._move(ContainerStatus.DELETED)
        if self.sequence:
            self._raise(ContainerEventType.DELETED, previous, teller, now, None)
        self.slot = self.external_port = None

    # ---- detail ----------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether its deletion was wished, or it vanished without that."""
        return self.desired is Desired.DELETED or self.status is ContainerStatus.DELETED

    def _refuse_if_over(self, desired: Desired) -> None:
        if self._is_over:
            raise ContainerRefuses(ContainerStatus.DELETING, desired, _ADVICE_DELETED)
        if self.status is ContainerStatus.FAILED:
            raise ContainerRefuses(self.status, desired, _ADVICE_FAILED)

    def _only_while_creating(self, change: str) -> None:
        if self.status is not ContainerStatus.CREATING:
            raise ContainerRefuses(self.status, change, "its name and port are known by now")

    def _only_from(self, step: ContainerStatus, to: ContainerStatus) -> None:
        """Refuse an outcome of another step, though its status might follow: its events differ."""
        if self.status is not step:
            raise IllegalTransition("container", self.status.value, to.value)

    def _cause_of_end(self, seen: Observation) -> Cause:
        """Who ended a run that was to be ended: whoever wished it, unless the kernel was first."""
        return Cause.OOM if seen.oom_killed else self.wish_cause

    def _note_end(self, seen: Observation) -> None:
        self.finished_at, self.exit_code = seen.finished_at, seen.exit_code
        self.oom_killed = seen.oom_killed

    def _tell_stopped(
        self, previous: ContainerStatus, cause: Cause, finished_at: datetime | None, now: datetime
    ) -> None:
        """End the open run, if one was told: its endpoint is the one that is to be forgotten."""
        if self.open_run_id is not None:
            self._raise(ContainerEventType.STOPPED, previous, cause, now, finished_at)
        self.open_run_id = self.container_ip = None


def _told_exit(seen: Observation) -> str:
    if seen.oom_killed:
        return "killed by the kernel: out of memory"
    return f"exited with code {seen.exit_code}"
