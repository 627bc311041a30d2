"""What a complete list of an engine's containers says against what is recorded of them.

Nothing here is an outcome. A difference only nominates its container for a fresh look under a
lease; that one is missing is remembered, because it may be called gone only if a complete list
lacked it *and* a fresh look finds nothing. What is recorded must be read before the list is taken:
a container that was made in between would otherwise look missing. Before an engine is called
untrustworthy it is read once more: what others made or removed meanwhile would look strange, or
missing, all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.container_status import ContainerStatus
from domain.observation import Observation

# More than this share of what is recorded missing, or of what is found unknown, is no accident of
# single containers: another disk under the same engine, a backup of the database, a wrong label.
ACCIDENT_SHARE = 0.2
# Of fewer, a share says nothing: whoever has two containers may remove one by hand.
ACCIDENT_LEAST = 5

_S = ContainerStatus
# What is in Docker, as far as is recorded; of a container that is created or deleted just now
# nothing can be said.
_EXPECTED = frozenset({_S.RUNNING, _S.STOPPING, _S.STOPPED, _S.STARTING, _S.EXITED})
_AT_REST = frozenset({_S.STOPPED, _S.EXITED})


@dataclass(frozen=True, slots=True)
class Known:
    """A container as it is recorded, neither failed nor deleted.

    Attributes:
        docker_id: None while it is created.
        missing: whether the last complete list lacked it already.
        wordless_run_id: the run that ended by itself, if nobody asked yet what it wrote last.
    """

    id: int
    uid: UUID
    docker_id: str | None
    status: ContainerStatus
    open_run_id: UUID | None
    container_ip: str | None
    missing: bool
    wordless_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """The differences.

    Attributes:
        nominated: ids of containers to be looked at.
        missing: ids of containers that the list lacks; they are nominated too.
        back: ids of containers that were missing and are there again.
        running: ids of containers that run as recorded.
        strangers: what bears our label and belongs to no container that is recorded.
        alarm: why the engine is not to be trusted, None if it is.
    """

    nominated: Sequence[int]
    missing: Sequence[int]
    back: Sequence[int]
    running: Sequence[int]
    strangers: Sequence[Observation]
    alarm: str | None


def is_accident(count: int, of: int) -> bool:
    """Return whether so many of so many differ that it is no accident of single ones."""
    return count >= ACCIDENT_LEAST and count > of * ACCIDENT_SHARE


def drift_between(known: Collection[Known], found: Collection[Observation]) -> Drift:
    """Compare what is recorded with a complete list that was taken later."""
    by_uid: dict[UUID, Known] = {row.uid: row for row in known}
    theirs: dict[int, Observation] = {}
    strangers: list[Observation] = []
    for seen in found:
        row = by_uid.get(seen.uid) if seen.uid is not None else None
        if row is None or row.docker_id not in {None, seen.docker_id}:
            strangers.append(seen)
        else:
            theirs[row.id] = seen
    missing = [
        row.id
        for row in known
        if row.id not in theirs and row.docker_id is not None and row.status in _EXPECTED
    ]
    differing = [row.id for row in known if row.id in theirs and _differs(row, theirs[row.id])]
    return Drift(
        nominated=sorted([*missing, *differing]),
        missing=missing,
        back=[row.id for row in known if row.missing and row.id in theirs],
        running=[
            row.id
            for row in known
            if row.status is _S.RUNNING and row.id in theirs and not _differs(row, theirs[row.id])
        ],
        strangers=strangers,
        alarm=_alarm(len(missing), _expected(known), len(strangers), len(found)),
    )


def reconsidered(
    drift: Drift,
    known: Collection[Known],
    found: Collection[Observation],
    known_later: Collection[Known],
) -> Drift:
    """Return the differences with only that alarm which what is recorded by now bears out.

    A list takes its time, and whoever was paused before taking it compares it with what was
    recorded long ago. Hence nothing counts as missing unless it is recorded the same after the list
    as before it, nor as strange unless it belongs to nothing that is recorded by now.

    Args:
        drift: between `known` and `found`.
        known_later: what was recorded after the list was taken.
    """
    by_now = {_recorded(row) for row in known_later}
    unchanged = [row for row in known if _recorded(row) in by_now]
    missing = drift_between(unchanged, found).missing
    strange_by_now = {seen.docker_id for seen in drift_between(known_later, found).strangers}
    strangers = [seen for seen in drift.strangers if seen.docker_id in strange_by_now]
    alarm = _alarm(len(missing), _expected(unchanged), len(strangers), len(found))
    return replace(drift, alarm=alarm)


def _recorded(row: Known) -> tuple[UUID, str | None, ContainerStatus]:
    return row.uid, row.docker_id, row.status


def _differs(row: Known, seen: Observation) -> bool:
    if row.status is _S.RUNNING:
        same = (row.open_run_id, row.container_ip) == (seen.run_id, seen.container_ip)
        return not seen.running or not same
    if row.wordless_run_id is not None and row.wordless_run_id == seen.run_id:
        return True
    return row.status in _AT_REST and seen.running


def _expected(known: Collection[Known]) -> int:
    return sum(row.docker_id is not None and row.status in _EXPECTED for row in known)


def _alarm(missing: int, expected: int, strangers: int, found: int) -> str | None:
    if is_accident(missing, expected):
        return f"{missing} of {expected} recorded containers are missing on the engine"
    if is_accident(strangers, found):
        return f"{strangers} of {found} containers with our label are not recorded"
    return None
