"""One pass over an engine: its list is held against the record, and what differs is nominated.

    record -> one list of our label -> one inspect of all its members -> differences
        differing, missing    nominated: the next claim looks afresh and records
        strangers             removed after a grace period
        too much of either    the record is read again; if it bears that out, quarantine: nothing is
                              touched until an operator says so

A list that fails says nothing: the pass ends, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from application.drift import Drift, Known, drift_between, reconsidered
from application.errors import EngineTransient
from application.ports import ContainerEngine
from domain.observation import Observation


class Census(Protocol):
    """What is recorded of all containers of an engine, and what a pass notes of them."""

    def take_turn(self, engine_id: str, interval_seconds: float) -> bool:
        """Return whether a pass is due, and this worker the one that makes it."""

    def known(self, engine_id: str) -> Sequence[Known]:
        """Return every container of the engine that is neither failed nor deleted."""

    def note(self, engine_id: str, drift: Drift, listed_seconds_ago: float) -> None:
        """Nominate what differs, and note what is missing, what is back, and what runs.

        Args:
            listed_seconds_ago: how long ago the list was asked for: what runs was seen then.
        """

    def is_recorded(self, uid: UUID, docker_id: str) -> bool:
        """Return whether this very object may belong to a container, asked afresh."""

    def quarantine(self, engine_id: str, reason: str) -> bool:
        """Let nobody touch the engine any more; return whether that is so.

        It is not while an operator vouches for the engine: until a pass finds nothing alarming.
        """


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass found.

    Attributes:
        found: how many containers with our label there are.
        quarantined: whether nothing was touched, because of what was found.
        removed: Docker ids of strangers that were removed.
    """

    found: int
    drift: Drift
    removed: Sequence[str] = ()
    quarantined: bool = False


class PassOverEngine:
    """Makes passes; keeps in mind since when it has seen which stranger.

    Args:
        monotonic: a clock that is never set, in seconds.
        grace_seconds: how long a stranger is left alone: a worker that was paused may have made it
            and be about to notice.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        census: Census,
        monotonic: Callable[[], float],
        *,
        grace_seconds: float,
    ) -> None:
        self._engine = engine
        self._census = census
        self._monotonic = monotonic
        self._grace_seconds = grace_seconds
        self._strangers: dict[str, float] = {}

    def run(self, engine_id: str) -> PassReport:
        """Make one pass.

        Raises:
            EngineError: the list is not complete; nothing was noted.
            DatabaseUnavailable: nothing was noted, or not all of it.
        """
        known = self._census.known(engine_id)
        listed_at = self._monotonic()
        found = self._engine.list_ours()
        drift = drift_between(known, found)
        if drift.missing or drift.strangers:
            self._check_engine(engine_id)
        if drift.alarm is not None:
            drift = reconsidered(drift, known, found, self._census.known(engine_id))
        if drift.alarm is not None and self._census.quarantine(engine_id, drift.alarm):
            return PassReport(len(found), drift, quarantined=True)
        self._census.note(engine_id, drift, self._monotonic() - listed_at)
        removed = self._remove(engine_id, self._outworn(drift.strangers))
        return PassReport(len(found), drift, removed)

    def _check_engine(self, engine_id: str) -> None:
        """What another engine lacks, or has, says nothing of ours."""
        if self._engine.engine_id() != engine_id:
            raise EngineTransient("another engine answers")

    def _outworn(self, strangers: Sequence[Observation]) -> list[Observation]:
        """Return the strangers whose grace is over."""
        now = self._monotonic()
        seen_since = {
            each.docker_id: self._strangers.get(each.docker_id, now) for each in strangers
        }
        self._strangers = seen_since
        return [
            each
            for each in strangers
            if now - self._strangers[each.docker_id] >= self._grace_seconds
        ]

    def _remove(self, engine_id: str, strangers: Sequence[Observation]) -> list[str]:
        removed = []
        for stranger in strangers:
            uid = stranger.uid
            if uid is not None and self._census.is_recorded(uid, stranger.docker_id):
                continue
            self._check_engine(engine_id)
            self._engine.remove(stranger.docker_id)
            removed.append(stranger.docker_id)
        return removed
