"""The ledger against the aggregates whose history it is, and the outbox against the ledger.

A stream is gapless from 1 up to what its aggregate has counted. Whatever `restored` raised is a
jump of exactly that much, between the last event before it and the first one after. Streams that
were pruned are those of deleted aggregates, and whole: they are not missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from application.audit.audit_runs import audit_runs
from application.audit.difference import Difference
from application.audit.records import Pending, Restoration, State, Stream
from application.audit.told_status import may_follow

_CONTAINER = "container/"
_IMAGE = "image/"


@dataclass(frozen=True, slots=True)
class _Aggregate:
    """What an aggregate counted and is, whichever kind it is.

    Attributes:
        restorations: those that raised its sequence; it was there by then.
    """

    sequence: int
    status: str
    is_deleted: bool
    open_run_id: UUID | None
    restorations: tuple[Restoration, ...]


def audit_streams(state: State, streams: Iterable[Stream]) -> Iterator[Difference]:
    """Compare each stream with its aggregate; aggregates whose stream is missing come last."""
    aggregates = dict(_aggregates(state))
    found = set()
    for stream in streams:
        found.add(stream.name)
        aggregate = aggregates.get(stream.name)
        if aggregate is None:
            yield _difference("unknown-stream", stream, "events are told of what is not recorded")
            continue
        yield from _audit_stream(stream, aggregate)
    for name, aggregate in aggregates.items():
        if name not in found and not aggregate.is_deleted:
            yield from _audit_stream(Stream(name, ()), aggregate)


def audit_outbox(pending: Iterable[Pending]) -> Iterator[Difference]:
    """Compare what is to be published with the ledger it was written beside."""
    for row in pending:
        if row.ledger is None:
            detail = "it is to be published and is not in the ledger"
        elif row.ledger != row.address:
            detail = f"it is to be published as {row.address}, and recorded as {row.ledger}"
        else:
            continue
        yield Difference("outbox", "event", str(row.event_id), detail)


def _aggregates(state: State) -> Iterator[tuple[str, _Aggregate]]:
    restorations = state.restorations
    for container in state.containers.values():
        since = tuple(each for each in restorations if container.id <= each.last_container_id)
        yield (
            f"{_CONTAINER}{container.id}",
            _Aggregate(
                container.sequence,
                container.status,
                container.status == "deleted",
                container.open_run_id,
                since,
            ),
        )
    for image in state.images.values():
        since = tuple(each for each in restorations if image.id <= each.last_image_id)
        yield (
            f"{_IMAGE}{image.id}",
            _Aggregate(image.sequence, image.status, image.is_deleted, None, since),
        )


def _audit_stream(stream: Stream, aggregate: _Aggregate) -> Iterator[Difference]:
    yield from _audit_numbers(stream, aggregate)
    yield from _audit_payloads(stream)
    yield from _audit_end(stream, aggregate)
    if stream.name.startswith(_CONTAINER):
        yield from _audit_times(stream)
        yield from audit_runs(stream, aggregate.open_run_id)


def _audit_numbers(stream: Stream, aggregate: _Aggregate) -> Iterator[Difference]:
    last, last_id = 0, 0
    for entry in stream.entries:
        expected = last + 1 + _raised(aggregate, last_id, entry.id)
        if entry.sequence != expected:
            detail = f"sequence {entry.sequence} follows {last}, {expected} should"
            yield _difference("sequence-gap", stream, detail)
        if entry.id <= last_id:
            detail = f"sequence {entry.sequence} has id {entry.id}, not above {last_id} before it"
            yield _difference("ledger-order", stream, detail)
        last, last_id = entry.sequence, max(entry.id, last_id)
    expected = last + _raised(aggregate, last_id, None)
    if aggregate.sequence != expected:
        detail = f"{aggregate.sequence} events are counted, the ledger ends with {expected}"
        yield _difference("sequence-end", stream, detail)


def _raised(aggregate: _Aggregate, after: int, before: int | None) -> int:
    """Return how much was added between two events; None is the present."""
    return sum(
        each.raised_by
        for each in aggregate.restorations
        if after <= each.last_event_id and (before is None or each.last_event_id < before)
    )


def _audit_payloads(stream: Stream) -> Iterator[Difference]:
    for entry in stream.entries:
        if (entry.told_event_id, entry.told_sequence) != (entry.event_id, entry.sequence):
            detail = (
                f"the payload of sequence {entry.sequence} tells event {entry.told_event_id}"
                f" with sequence {entry.told_sequence}, the ledger {entry.event_id}"
            )
            yield _difference("payload", stream, detail)


def _audit_end(stream: Stream, aggregate: _Aggregate) -> Iterator[Difference]:
    if not stream.entries:
        told = None
    else:
        last = stream.entries[-1]
        told = last.status
        if aggregate.is_deleted and not last.type.endswith(".deleted"):
            detail = f"it is deleted, and {last.type} is the last that was told"
            yield _difference("deletion-not-told", stream, detail)
            return
    kind = stream.name.partition("/")[0]
    if not may_follow(kind, told, aggregate.status):
        detail = f"it is {aggregate.status}, and {told or 'nothing'} is the last that was told"
        yield _difference("status-not-told", stream, detail)


def _audit_times(stream: Stream) -> Iterator[Difference]:
    for before, after in pairwise(stream.entries):
        if after.occurred_at < before.occurred_at:
            detail = (
                f"sequence {after.sequence} occurred at {after.occurred_at.isoformat()}, before"
                f" {before.sequence} at {before.occurred_at.isoformat()}"
            )
            yield _difference("time-runs-back", stream, detail)


def _difference(kind: str, stream: Stream, detail: str) -> Difference:
    return Difference(kind, "stream", stream.name, detail)
