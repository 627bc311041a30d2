"""What must hold once everything is settled: what an operator's audit finds, and what it cannot.

The audit takes a container that waits for its restart for one at rest, lets files grow old before
it calls them left over, and knows nothing of what a relay has published by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from application.audit.run_audit import AuditReport
from tests.fault.service.ends import Record

# Of an audit whose grace is nothing: what a crash leaves is for a sweep to remove, and so is what a
# later build replaced.
_FOR_A_SWEEP = {
    "folder-left": "a context",
    "incoming-left": "an upload",
    "build-tag-left": "a tag",
    "image-left": "an untagged image",
}

_WAITING = """
SELECT 'container ' || id || ' is ' || status || ', due at ' || next_attempt_at AS what
FROM containers WHERE next_attempt_at IS NOT NULL
"""

# Nobody publishes here, so all that was told is still to be.
_UNPUBLISHED = """
SELECT count(*) AS events, (SELECT count(*) FROM outbox) AS pending FROM events
"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an audit and the record say.

    Attributes:
        differences: what does not agree, or is still on its way, a line each.
        left: what is left for a sweep, each by what it is.
    """

    differences: Sequence[str]
    left: Sequence[str]


def agreement(report: AuditReport, record: Record) -> Agreement:
    """Judge an audit that took no grace into account."""
    found = [each for each in report.differences if each.kind not in _FOR_A_SWEEP]
    return Agreement(
        [*(each.line for each in found), *_unsettled(report), *_beyond_the_audit(record)],
        [_FOR_A_SWEEP[each.kind] for each in report.differences if each.kind in _FOR_A_SWEEP],
    )


def _unsettled(report: AuditReport) -> Iterator[str]:
    if report.in_flight:
        yield f"{report.in_flight} of containers and images are in flight"
    if report.audited is None or report.not_audited:
        yield f"not audited: {report.engine_failure or report.not_audited or 'any engine'}"


def _beyond_the_audit(record: Record) -> Iterator[str]:
    yield from (f"waits: {row['what']}" for row in record.rows(_WAITING))
    (row,) = record.rows(_UNPUBLISHED)
    if row["events"] != row["pending"]:
        yield f"{row['pending']} of {row['events']} events are in the outbox"
