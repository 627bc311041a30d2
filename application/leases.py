"""The lease: who may act on an aggregate, and how its turn ends.

A worker claims a row for a while by the database's clock and gets an epoch. Whatever it records
later needs that epoch, so a worker that was paused past its lease cannot overwrite the one that
took over. A lease fences PostgreSQL, not Docker: hence every call on the engine ends before the
lease does (`LeaseTable.cover`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.container_status import Desired


class Leased(StrEnum):
    """What kind of row a lease is on."""

    IMAGE = "image"
    BUILD = "build"
    CONTAINER = "container"


class Work(StrEnum):
    """What is to be done, each with a limit of its own in a worker."""

    BUILD = "build"
    START = "start"
    STOP = "stop"
    DELETE = "delete"
    OBSERVE = "observe"
    REMOVE_IMAGE = "remove_image"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act on one row.

    Attributes:
        image_id: the image it belongs to, which is locked before it.
        epoch: rises with each claim; the fence.
        generation: the wish that was claimed; 0 where there are no generations.
        desired: what that wish asks for; None where there are no wishes.
        attempts: how often this has been tried in vain since it last succeeded.
        ripe: whether a wish or a step was due; a look at what was only nominated is not.
    """

    kind: Leased
    id: int
    image_id: int
    work: Work
    epoch: int
    generation: int = 0
    desired: Desired | None = None
    attempts: int = 0
    ripe: bool = True


@dataclass(frozen=True, slots=True)
class BuildQuota:
    """How many builds may be leased at once; leases that have run out do not count.

    Attributes:
        per_worker: to the worker that claims, CONCURRENT_BUILDS.
        per_user: for one user, over all workers, CONCURRENT_BUILDS_PER_USER.
    """

    per_worker: int
    per_user: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a worker learns when it renews a lease.

    Attributes:
        generation: the latest wish; above the lease's own, the claimed one is superseded.
        cancel_requested: whether the build is to be ended.
        prolonged: whether the lease lasts longer now; somebody held its row just then if not.
    """

    generation: int
    cancel_requested: bool
    prolonged: bool = True


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a claim ended.

    Attributes:
        applied: whether the claimed wish was carried out, so that whoever waits for it is told.
        retry_in_seconds: when to try again; None for not at all (until the next wish).
        counts: whether this was an attempt that failed.
        keeps_schedule: whether everything stays as it was scheduled before the claim.
    """

    applied: bool
    retry_in_seconds: float | None = None
    counts: bool = False
    keeps_schedule: bool = False

    @classmethod
    def done(cls) -> Settlement:
        """The wish was carried out; nothing is left to do."""
        return cls(applied=True)

    @classmethod
    def looked(cls) -> Settlement:
        """A look that found nothing to record, or did not succeed: not even time was spent."""
        return cls(applied=False, keeps_schedule=True)

    @classmethod
    def again(cls, seconds: float = 0.0) -> Settlement:
        """Not finished, and nobody's fault: handed back, superseded, engine unreachable."""
        return cls(applied=False, retry_in_seconds=seconds)

    @classmethod
    def handed_back(cls, lease: Lease, seconds: float = 0.0) -> Settlement:
        """Given up without an attempt.

        A look that was only nominated is not made up for: it says nothing of a step, and must not
        let one be due that a policy or a backoff forbids. The next pass sees what it would have
        seen. One that was due rests like everything else, or it would be claimed at once again.
        """
        nominated = lease.work is Work.OBSERVE and not lease.ripe
        return cls.looked() if nominated else cls.again(seconds)

    @classmethod
    def retry(cls, seconds: float) -> Settlement:
        """An attempt failed in a way that may pass."""
        return cls(applied=False, retry_in_seconds=seconds, counts=True)
