"""The state of a container, and the three ways in which it changes: a wish, a transition, an event.

`domain.container` tells when each of them happens. A transition is checked against the one table;
an event is numbered here, and its time never runs backwards within the container.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.container_snapshot import snapshot
from domain.container_spec import ContainerSpec
from domain.container_status import TRANSITIONS, ContainerStatus, Desired
from domain.events import Cause, ContainerEvent, ContainerEventType, TimeSource
from domain.observation import Observation
from domain.transitions import guard
from domain.wish import Wish


@dataclass(slots=True, eq=False)
class ContainerState:
    """What is known of one container; its identity is `id`, in Docker its `uid`.

    Attributes:
        created_by: who wished it in the first place: a user, or min_instances.
        open_run_id: the run that was told as started and not yet as stopped.
        crash_count: ends of runs in a row that the restart policy answered.
        exit_code: of the last run that ended, as are `finished_at`, `oom_killed` and
            `last_log_lines`; while it runs they are None unless it is in a crash loop.
        last_log_lines: what that run wrote last; None if nobody has asked for it yet.
        restart_at: when the policy starts it again; None when it does not, or not any more.
        restart_cause: why the start that is planned or under way was not wished by anybody.
    """

    id: int
    uid: UUID
    spec: ContainerSpec
    name: str
    created_at: datetime
    slot: int | None
    external_port: int | None
    wished_at: datetime
    wish_cause: Cause
    request_id: str | None
    created_by: Cause
    desired: Desired = Desired.RUNNING
    generation: int = 1
    settled_generation: int = 0
    status: ContainerStatus = ContainerStatus.CREATING
    status_reason: str | None = None
    docker_id: str | None = None
    container_ip: str | None = None
    open_run_id: UUID | None = None
    last_run_id: UUID | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_seen_running_at: datetime | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    restart_count: int = 0
    crash_count: int = 0
    restart_at: datetime | None = None
    restart_cause: Cause | None = None
    last_log_lines: str | None = None
    sequence: int = 0
    last_occurred_at: datetime | None = None
    events: list[ContainerEvent] = field(default_factory=list)

    @property
    def last_run_lasted(self) -> timedelta | None:
        """How long the last run took; None if it is not known, or not over."""
        if self.finished_at is None or self.started_at is None:
            return None
        return self.finished_at - self.started_at

    def lacks_last_words_of(self, seen: Observation) -> bool:
        """Whether it ended by itself in the run that was seen, and nobody asked what it wrote."""
        by_itself = self.status in {ContainerStatus.EXITED, ContainerStatus.STARTING}
        of_last_run = not seen.running and seen.run_id == self.last_run_id
        return by_itself and of_last_run and self.last_log_lines is None

    def _wish(self, desired: Desired, wish: Wish) -> None:
        self.desired, self.wish_cause = desired, wish.cause
        self.request_id, self.wished_at = wish.request_id, wish.at
        self.generation += 1
        # What happened before says nothing of what is wished now.
        self.crash_count, self.restart_at, self.restart_cause = 0, None, None

    def _move(self, to: ContainerStatus) -> ContainerStatus:
        previous = self.status
        guard("container", TRANSITIONS, previous, to)
        self.status, self.status_reason = to, None
        return previous

    def _raise(
        self,
        type_: ContainerEventType,
        previous: ContainerStatus | None,
        cause: Cause,
        now: datetime,
        occurred_at: datetime | None,
    ) -> None:
        at = occurred_at or now
        if self.last_occurred_at is not None:
            at = max(at, self.last_occurred_at)
        self.last_occurred_at = at
        self.sequence += 1
        source = TimeSource.ENGINE if at == occurred_at else TimeSource.ORCHESTRATOR
        self.events.append(
            snapshot(
                self,
                type_,
                previous_status=previous,
                cause=cause,
                occurred_at=at,
                occurred_at_source=source,
                observed_at=now,
            )
        )
