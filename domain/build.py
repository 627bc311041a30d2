"""A build: one run of Docker over an image's stored context.

    queued -> running -> succeeded | failed | cancelled

A queued build may be cancelled before it ran. Which attempt owns a running build is the matter of
its lease, not of this aggregate: a late result of an earlier attempt never gets here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.transitions import Table, guard

# The seed's promise: the database keeps the last 8,000 characters of a build log.
LOG_TAIL_CHARACTERS = 8000


class BuildStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_Q, _R = BuildStatus.QUEUED, BuildStatus.RUNNING
_S, _F, _C = BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELLED

TRANSITIONS: Table[BuildStatus] = {
    _Q: frozenset({_R, _C}),
    _R: frozenset({_S, _F, _C}),
    _S: frozenset(),
    _F: frozenset(),
    _C: frozenset(),
}

UNFINISHED = frozenset({_Q, _R})


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a build log, as the database keeps it.

    Attributes:
        text: the last 8,000 characters.
        truncated: whether anything came before them.
    """

    text: str
    truncated: bool

    @classmethod
    def of(cls, log: str) -> LogTail:
        """Keep the end of `log`; Docker tells the cause last."""
        return cls(log[-LOG_TAIL_CHARACTERS:], len(log) > LOG_TAIL_CHARACTERS)


@dataclass(slots=True, eq=False)
class Build:
    """One build of an image; its identity is `id`.

    Attributes:
        attempt: how many attempts count: all that were begun, less those that were uncounted.
        broken_off: how many were uncounted because engine or database went away under them.
    """

    id: int
    image_id: int
    user_id: str
    log_path: str
    created_at: datetime
    status: BuildStatus = BuildStatus.QUEUED
    status_reason: str | None = None
    cancel_requested: bool = False
    engine_id: str | None = None
    attempt: int = 0
    broken_off: int = 0
    log: LogTail = LogTail("", truncated=False)
    docker_image_id: str | None = None
    public_tag_set: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @classmethod
    def queue(
        cls,
        build_id: int,
        image_id: int,
        user_id: str,
        log_path: str,
        now: datetime,
        engine_id: str | None = None,
    ) -> Build:
        """Queue a build of an image's stored context.

        Args:
            engine_id: the one engine that may run it; None for any.
        """
        return cls(build_id, image_id, user_id, log_path, now, engine_id=engine_id)

    @property
    def is_finished(self) -> bool:
        return self.status not in UNFINISHED

    def begin(self, engine_id: str, now: datetime) -> None:
        """Start the next attempt on an engine, the first one or one that took the build over."""
        if self.status is not BuildStatus.RUNNING:
            self._move(BuildStatus.RUNNING)
            self.started_at = now
        self.attempt += 1
        self.engine_id = engine_id

    def hand_back(self) -> None:
        """Uncount the attempt of a worker that ends on purpose, or whose end was nobody's fault."""
        self.attempt -= 1

    def break_off(self) -> None:
        """Uncount the attempt, under which engine or database went away, and count that instead."""
        self.hand_back()
        self.broken_off += 1

    def lose_engine(self) -> None:
        """Forget the engine that it ran on, which is gone for good: any other may begin anew."""
        self.engine_id = None

    def note_setback(self, reason: str) -> None:
        """Keep what an attempt met with, to be told should no other one end."""
        self.status_reason = reason

    def succeed(self, docker_image_id: str, log: LogTail, now: datetime) -> None:
        self._finish(BuildStatus.SUCCEEDED, None, log, now)
        self.docker_image_id = docker_image_id

    def fail(self, reason: str, log: LogTail, now: datetime) -> None:
        self._finish(BuildStatus.FAILED, reason, log, now)

    def request_cancel(self, now: datetime) -> None:
        """Cancel at once what has not begun; ask the worker to end what runs."""
        if self.status is BuildStatus.QUEUED:
            self.cancel(self.log, now)
        elif self.status is BuildStatus.RUNNING:
            self.cancel_requested = True

    def cancel(self, log: LogTail, now: datetime) -> None:
        self._finish(BuildStatus.CANCELLED, "cancelled", log, now)

    def mark_public_tag_set(self) -> None:
        """Note that the image's public tag points at this build's result."""
        self.public_tag_set = True

    def doubt_public_tag(self) -> None:
        """Note that somebody may have moved the public tag away from this build's result."""
        self.public_tag_set = False

    def _finish(self, to: BuildStatus, reason: str | None, log: LogTail, now: datetime) -> None:
        self._move(to)
        self.status_reason = reason
        self.log = log
        self.finished_at = now

    def _move(self, to: BuildStatus) -> None:
        guard("build", TRANSITIONS, self.status, to)
        self.status = to
