"""Audit a system that goes on working meanwhile: nothing is called a difference too early.

The ledger and what is recorded beside it were written in the same transactions, so one snapshot of
the database settles them. Engine and volume change outside of any: what differs there must differ
from what is recorded before the look and after it, and is looked at again until it does not, or the
time to settle is over. What is still being changed by then is told as `unsettled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from application.audit.audit_ledger import audit_outbox, audit_streams
from application.audit.audit_progress import audit_progress
from application.audit.audit_state import audit_state
from application.audit.difference import Difference
from application.audit.in_flight import Subject, nobody_works
from application.audit.look import AuditedVolume, Graces, Look, Records, take_look
from application.audit.records import State, Stream
from application.ports import Clock, ContainerEngine

_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found.

    Attributes:
        differences: sorted.
        events: how many the ledger holds.
        audited: the engine that was looked at, None if it is none of ours, or did not answer.
        not_audited: the other engines that hold something of ours.
        in_flight: how many containers and images were being changed at the end.
        engine_failure: why the engine could not be looked at.
    """

    differences: Sequence[Difference]
    state: State
    events: int
    audited: str | None
    not_audited: Sequence[str]
    in_flight: int
    engine_failure: str | None


class RunAudit:
    """Carries out audits.

    Args:
        monotonic: a clock that is never set, in seconds.
        pause: lets so many seconds pass.
        graces: how old something must be to be called left over.
    """

    def __init__(
        self,
        records: Records,
        engine: ContainerEngine,
        volume: AuditedVolume,
        monotonic: Callable[[], float],
        pause: Callable[[float], None],
        clock: Clock,
        graces: Graces,
    ) -> None:
        self._records = records
        self._engine = engine
        self._volume = volume
        self._monotonic = monotonic
        self._pause = pause
        self._clock = clock
        self._graces = graces

    def run(self, settle_seconds: float) -> AuditReport:
        """Audit everything.

        Args:
            settle_seconds: how long to wait until nothing is in flight and nothing differs.

        Raises:
            DatabaseUnavailable: nothing can be said.
            OSError: the volume cannot be read.
        """
        differences, events = self._audit_records()
        deadline = self._monotonic() + settle_seconds
        look = self._look()
        while (look.differences or look.moving or look.failure) and (
            (left := deadline - self._monotonic()) > 0
        ):
            self._pause(min(left, _LOOK_AGAIN_SECONDS))
            look = self._look()
        return AuditReport(
            differences=sorted({*differences, *_told(look)}),
            state=look.state,
            events=events,
            audited=look.engine_id,
            not_audited=_others(look.state, look.engine_id),
            in_flight=len(look.unfinished),
            engine_failure=look.failure,
        )

    def _audit_records(self) -> tuple[list[Difference], int]:
        events = 0

        def counted(streams: Iterator[Stream]) -> Iterator[Stream]:
            nonlocal events
            for stream in streams:
                events += len(stream.entries)
                yield stream

        with self._records.snapshot() as snapshot:
            state = snapshot.state()
            differences = [
                *audit_state(state),
                *audit_progress(state),
                *audit_streams(state, counted(snapshot.streams())),
                *audit_outbox(snapshot.pending()),
            ]
        return differences, events

    def _look(self) -> Look:
        return take_look(self._records, self._engine, self._volume, self._clock, self._graces)


def _told(look: Look) -> Iterator[Difference]:
    """Tell what differs, and what nobody brings to an end."""
    for each in look.differences:
        if Subject(each.about, each.which) in look.moving:
            yield replace(each, kind="unsettled", detail=f"{each.kind}: {each.detail}")
        else:
            yield each
    if nobody_works(look.state):
        for subject in look.unfinished:
            detail = f"{subject.status_in(look.state)}, and no worker is at it"
            yield Difference("unsettled", subject.about, subject.which, detail)


def _others(state: State, audited: str | None) -> list[str]:
    """Return the engines that hold something of ours and were not looked at."""
    holding = {each.engine_id for each in state.containers.values() if each.is_live}
    for image in state.images.values():
        build = state.builds.get(image.active_build_id) if image.active_build_id else None
        if build is not None and build.engine_id is not None and not image.is_deleted:
            holding.add(build.engine_id)
    return sorted(holding - {audited})
