"""The runs that a container's stream tells: each started once and stopped once, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from application.audit.difference import Difference
from application.audit.records import LedgerEntry, Stream
from domain.container_status import ContainerStatus
from domain.events import ContainerEventType

_T = ContainerEventType


def audit_runs(stream: Stream, open_run_id: UUID | None) -> Iterator[Difference]:
    """Follow the runs of a stream.

    Args:
        open_run_id: the run that is recorded as started and not yet stopped.
    """
    runs = _Runs()
    for entry in stream.entries:
        for wrong in runs.follow(entry):
            detail = f"sequence {entry.sequence}, {entry.type} of run {entry.run_id}: {wrong}"
            yield Difference("run", "stream", stream.name, detail)
    if runs.open != open_run_id:
        detail = f"run {open_run_id} is recorded as open, {runs.open} is told as such"
        yield Difference("open-run", "stream", stream.name, detail)


class _Runs:
    """What was told up to an event."""

    def __init__(self) -> None:
        self.open: UUID | None = None
        self._started: set[UUID] = set()
        self._created = False
        self._over: str | None = None

    def follow(self, entry: LedgerEntry) -> Iterator[str]:
        if self._over is not None and not (self._over == _T.FAILED and entry.type == _T.DELETED):
            yield f"{self._over} was the last that could be told"
        yield from self._take(entry)
        # A start that failed may be followed by another; a container that failed is over.
        if entry.type == _T.DELETED or entry.status == ContainerStatus.FAILED:
            self._over = entry.type

    def _take(self, entry: LedgerEntry) -> Iterator[str]:
        match entry.type:
            case _T.CREATED:
                if self._created:
                    yield "it was created before"
                self._created = True
            case _T.STARTED:
                yield from self._start(entry.run_id)
            case _T.STOPPED:
                if entry.run_id is None or entry.run_id != self.open:
                    yield f"the open run is {self.open}"
                self.open = None
            case _T.ENDPOINT_CHANGED:
                if self.open is None:
                    yield "no run is open"
            case _T.FAILED | _T.DELETED:
                if self.open is not None:
                    yield f"run {self.open} is open"
            case _:
                yield "no container tells this"

    def _start(self, run_id: UUID | None) -> Iterator[str]:
        if run_id is None:
            yield "it has no id"
            return
        if not self._created:
            yield "it was not created before"
        if self.open is not None:
            yield f"run {self.open} is open"
        if run_id in self._started:
            yield "it was started before"
        self._started.add(run_id)
        self.open = run_id
