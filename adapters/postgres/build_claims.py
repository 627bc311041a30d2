"""Claims of builds in PostgreSQL: fair among users, and never more than the quota.

A quota is a count over rows, and two claims that count at once would both find room. So they are
made one after the other, under an advisory lock that ends with the transaction. Whoever does not
get it claims nothing and comes back at its next poll: a worker that is frozen while it claims must
not let all the others wait. While nothing is due nobody asks for the lock.
"""

# ruff: noqa: S608 - the statements are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.claims import TRUSTED, Claimant, claimed
from application.leases import BuildQuota, Lease, Leased

# Any constant does, as long as nothing else in the database uses it ("ORCHBLDS" in ASCII).
LOCK_KEY = int.from_bytes(b"ORCHBLDS", "big")

_DUE: LiteralString = f"""
b.next_attempt_at <= now()
AND (b.engine_id IS NULL OR b.engine_id = %(engine_id)s) AND {TRUSTED}
"""

_ANY_DUE: LiteralString = f"""
SELECT EXISTS (SELECT FROM builds b
               WHERE {_DUE} AND (b.lease_until IS NULL OR b.lease_until < now())) AS any_due
"""

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s) AS locked"

# What does not count any more must not come back: a lease that was renewed late would do that.
_END_EXPIRED = """
UPDATE builds SET lease_until = NULL
WHERE id IN (SELECT id FROM builds WHERE lease_until < now() FOR NO KEY UPDATE SKIP LOCKED)
"""

# Of an image the earliest build alone, while none is in hand: the one before may still have its
# public tag to set, which must not come after the next one's. A user's turn counts what he has in
# hand, so the quota is a bound on it, and what is to be ended goes first. `_DUE` stands twice
# because the second one is checked again on the locked row.
_CLAIM: LiteralString = f"""
WITH in_hand AS (
    SELECT user_id, image_id, leased_by FROM builds WHERE lease_until IS NOT NULL
), of_users AS (
    SELECT user_id, count(*) AS leases FROM in_hand GROUP BY user_id
), due AS (
    SELECT DISTINCT ON (b.image_id) b.id, b.user_id, b.cancel_requested, b.next_attempt_at
    FROM builds b
    WHERE {_DUE} AND NOT EXISTS (SELECT FROM in_hand WHERE in_hand.image_id = b.image_id)
    ORDER BY b.image_id, b.id
), in_turn AS (
    SELECT due.id, coalesce(of_users.leases, 0) + row_number() OVER (
               PARTITION BY due.user_id
               ORDER BY due.cancel_requested DESC, due.next_attempt_at, due.id) AS turn
    FROM due LEFT JOIN of_users USING (user_id)
), picked AS (
    SELECT b.id FROM builds b JOIN in_turn ON in_turn.id = b.id
    WHERE in_turn.turn <= %(per_user)s AND b.lease_until IS NULL AND {_DUE}
    ORDER BY in_turn.turn, b.id
    LIMIT greatest(0, least(%(limit)s, %(per_worker)s - (
        SELECT count(*) FROM in_hand WHERE leased_by = %(worker_id)s)))
    FOR NO KEY UPDATE OF b SKIP LOCKED
)
UPDATE builds b
SET lease_epoch = lease_epoch + 1, lease_until = now() + make_interval(secs => %(seconds)s),
    leased_by = %(worker_id)s
FROM picked WHERE b.id = picked.id
RETURNING b.id, b.image_id, b.lease_epoch, 0 AS generation, NULL AS desired, b.attempts,
          'build' AS work
"""


def claim_builds(
    connection: Connection[DictRow],
    engine_id: str,
    quota: BuildQuota,
    limit: int,
    claimant: Claimant,
) -> Sequence[Lease]:
    """Claim builds that are due, of this engine or of none yet."""
    parameters = {
        "engine_id": engine_id,
        "per_worker": quota.per_worker,
        "per_user": quota.per_user,
        "limit": limit,
        **claimant.parameters,
    }
    any_due = connection.execute(_ANY_DUE, parameters).fetchone()
    if any_due is None or not any_due["any_due"]:
        return []
    lock = connection.execute(_TRY_LOCK, {"key": LOCK_KEY}).fetchone()
    if lock is None or not lock["locked"]:
        return []
    connection.execute(_END_EXPIRED)
    return claimed(connection, Leased.BUILD, _CLAIM, parameters)
