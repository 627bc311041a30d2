"""One look at engine and volume, and at what is recorded before it and after it.

Engine and volume change outside of any transaction: what differs there must differ from what is
recorded before the look and after it to be called a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from application.audit.audit_engine import audit_engine
from application.audit.audit_tags import Listed, audit_tags
from application.audit.audit_volume import VolumeRecord, audit_volume
from application.audit.difference import Difference
from application.audit.in_flight import Subject, changed_between, in_flight
from application.audit.records import Pending, State, Stream
from application.errors import EngineError, EngineTransient
from application.ports import Clock, ContainerEngine
from domain.observation import Observation


class RecordSnapshot(Protocol):
    """The database as it was at one moment."""

    def state(self) -> State: ...

    def streams(self) -> Iterator[Stream]: ...

    def pending(self) -> Iterator[Pending]: ...


class Records(Protocol):
    """Takes snapshots of the database; each method may raise DatabaseUnavailable."""

    def snapshot(self) -> AbstractContextManager[RecordSnapshot]: ...


class AuditedVolume(Protocol):
    """What is asked of the volume; raises OSError."""

    def survey(self, contexts: Collection[str]) -> VolumeRecord: ...


@dataclass(frozen=True, slots=True)
class Look:
    """One look at engine and volume, and at what is recorded before and after it.

    Attributes:
        moving: what was being changed, or did change, meanwhile.
        unfinished: what is still being changed.
    """

    differences: Collection[Difference]
    moving: Collection[Subject]
    unfinished: Collection[Subject]
    state: State
    engine_id: str | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Graces:
    """How old something that nobody needs must be to be called left over, in seconds.

    Attributes:
        volume: of what is on the volume.
        engine: of images and of tags of builds: there a sweep has something to do in any case.
    """

    volume: float
    engine: float


def take_look(
    records: Records, engine: ContainerEngine, volume: AuditedVolume, clock: Clock, graces: Graces
) -> Look:
    """Look once.

    Raises:
        DatabaseUnavailable: nothing can be said.
        OSError: the volume cannot be read.
    """
    before = _state(records)
    engine_id, failure = None, None
    found: Sequence[Observation] = ()
    listed = Listed()
    try:
        engine_id, found, listed = _look_at_engine(engine, before, clock)
    except EngineError as exc:
        failure = str(exc)
    surveyed = volume.survey({image.source_path for image in before.images.values()})
    after = _state(records)

    def audit(state: State) -> set[Difference]:
        differences = set(audit_volume(state, surveyed, graces.volume))
        if engine_id is not None:
            differences |= {*audit_engine(state, engine_id, found)}
            differences |= {*audit_tags(state, engine_id, listed, graces.engine)}
        return differences

    unfinished = set(in_flight(after))
    moving = {*in_flight(before), *unfinished, *changed_between(before, after)}
    return Look(audit(before) & audit(after), moving, unfinished, after, engine_id, failure)


def _look_at_engine(
    engine: ContainerEngine, state: State, clock: Clock
) -> tuple[str | None, Sequence[Observation], Listed]:
    engine_id = engine.engine_id()
    if engine_id not in state.engines:
        return None, (), Listed()
    found, listed = engine.list_ours(), Listed(engine.list_images(), clock())
    if engine.engine_id() != engine_id:
        raise EngineTransient("another engine answers")
    return engine_id, found, listed


def _state(records: Records) -> State:
    with records.snapshot() as snapshot:
        return snapshot.state()
