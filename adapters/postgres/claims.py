"""Claims in PostgreSQL: who takes up what is due, with SKIP LOCKED and fair among users."""

# ruff: noqa: S608 - the statements are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from application.leases import Lease, Leased, Work
from domain.container_status import Desired

# A wish, or a step that is to be taken or tried again; what was only nominated is looked at.
_CONTAINER_RIPE: LiteralString = (
    "(c.next_attempt_at <= now() OR c.generation > c.settled_generation)"
)

# An engine in quarantine is not touched.
TRUSTED: LiteralString = """
NOT EXISTS (SELECT FROM engines e
            WHERE e.engine_id = %(engine_id)s AND e.quarantined_at IS NOT NULL)
"""

# What is to be done with a container follows from its status and what is desired of it.
_CONTAINER_WORK: LiteralString = (
    """
CASE
    WHEN NOT coalesce("""
    + _CONTAINER_RIPE
    + """, false) THEN 'observe'
    WHEN c.desired = 'deleted' THEN 'delete'
    WHEN c.status = 'stopping' THEN 'stop'
    WHEN c.desired = 'stopped' AND c.status IN ('running', 'starting', 'exited') THEN 'stop'
    WHEN c.status IN ('creating', 'starting') THEN 'start'
    WHEN c.desired = 'running' AND c.status IN ('stopped', 'exited') THEN 'start'
    ELSE 'observe'
END
"""
)

_CONTAINER_DUE: LiteralString = (
    """
c.engine_id = %(engine_id)s
AND (c.next_attempt_at <= now() OR c.generation > c.settled_generation
     OR c.nominated_at IS NOT NULL)
AND (c.lease_until IS NULL OR c.lease_until < now())
AND """
    + TRUSTED
    + " AND "
    + _CONTAINER_WORK
    + " = ANY(%(works)s)"
)

# Fair among users: everybody's first one comes before anybody's second, and what a user already
# has in hand counts. The condition stands twice because the second one is checked again on the
# locked row.
_CLAIM_CONTAINERS: LiteralString = f"""
WITH in_hand AS (
    SELECT user_id, count(*) AS leases FROM containers
    WHERE engine_id = %(engine_id)s AND lease_until IS NOT NULL AND lease_until >= now()
    GROUP BY user_id
), due AS (
    SELECT c.id, coalesce(in_hand.leases, 0) + row_number() OVER (
               PARTITION BY c.user_id ORDER BY c.next_attempt_at NULLS FIRST, c.id) AS turn
    FROM containers c LEFT JOIN in_hand USING (user_id)
    WHERE {_CONTAINER_DUE}
), picked AS (
    SELECT c.id FROM containers c JOIN due ON due.id = c.id
    WHERE {_CONTAINER_DUE}
    ORDER BY due.turn, c.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE containers c
SET lease_epoch = lease_epoch + 1, lease_until = now() + make_interval(secs => %(seconds)s),
    leased_by = %(worker_id)s,
    -- Whatever is done begins with a fresh look.
    nominated_at = NULL
FROM picked WHERE c.id = picked.id
RETURNING c.id, c.image_id, c.lease_epoch, c.generation, c.desired, {_CONTAINER_WORK} AS work,
          coalesce({_CONTAINER_RIPE}, false) AS ripe,
          -- What an earlier wish met with says nothing of this one.
          CASE WHEN c.generation > c.settled_generation THEN 0 ELSE c.attempts END AS attempts
"""

_CLAIM_IMAGE_REMOVALS: LiteralString = f"""
WITH picked AS (
    SELECT i.id FROM images i
    WHERE i.next_attempt_at <= now() AND i.status = 'deleting'
      AND (i.engine_id IS NULL OR i.engine_id = %(engine_id)s) AND {TRUSTED}
      AND (i.lease_until IS NULL OR i.lease_until < now())
      -- Due until its public tag is set: a tag must not appear after its removal.
      AND NOT EXISTS (SELECT 1 FROM builds b WHERE b.image_id = i.id
                      AND (b.status IN ('queued', 'running') OR b.next_attempt_at IS NOT NULL))
      AND NOT EXISTS (SELECT 1 FROM containers c
                      WHERE c.image_id = i.id AND c.status <> 'deleted')
    ORDER BY i.next_attempt_at, i.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF i SKIP LOCKED
)
UPDATE images i
SET lease_epoch = lease_epoch + 1, lease_until = now() + make_interval(secs => %(seconds)s),
    leased_by = %(worker_id)s
FROM picked WHERE i.id = picked.id
RETURNING i.id, i.id AS image_id, i.lease_epoch, 0 AS generation, NULL AS desired,
          i.attempts, 'remove_image' AS work
"""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims, and for how long.

    Attributes:
        worker_id: of the process; noted with the lease, see `adapters.postgres.presence`.
        seconds: how long a claim lasts unless it is renewed or covered.
    """

    worker_id: UUID
    seconds: float

    @property
    def parameters(self) -> Mapping[str, object]:
        return {"worker_id": self.worker_id, "seconds": self.seconds}


def claim_containers(
    connection: Connection[DictRow],
    engine_id: str,
    works: Collection[Work],
    limit: int,
    claimant: Claimant,
) -> Sequence[Lease]:
    """Claim containers of an engine that are due for one of `works`."""
    parameters = {
        "engine_id": engine_id,
        "works": [str(work) for work in works],
        "limit": limit,
        **claimant.parameters,
    }
    return claimed(connection, Leased.CONTAINER, _CLAIM_CONTAINERS, parameters)


def claim_image_removals(
    connection: Connection[DictRow], engine_id: str, limit: int, claimant: Claimant
) -> Sequence[Lease]:
    """Claim images in deletion that nothing uses any more."""
    parameters = {"engine_id": engine_id, "limit": limit, **claimant.parameters}
    return claimed(connection, Leased.IMAGE, _CLAIM_IMAGE_REMOVALS, parameters)


def claimed(
    connection: Connection[DictRow],
    kind: Leased,
    sql: LiteralString,
    parameters: Mapping[str, object],
) -> Sequence[Lease]:
    """Carry out a claiming statement; returns the leases in the order of their ids."""
    rows = connection.execute(sql, parameters).fetchall()
    return [
        Lease(
            kind=kind,
            id=row["id"],
            image_id=row["image_id"],
            work=Work(row["work"]),
            epoch=row["lease_epoch"],
            generation=row["generation"],
            desired=Desired(row["desired"]) if row["desired"] else None,
            attempts=row["attempts"],
            ripe=row.get("ripe", True),
        )
        for row in sorted(rows, key=lambda row: int(row["id"]))
    ]
