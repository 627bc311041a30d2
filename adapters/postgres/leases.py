"""Leases in PostgreSQL, timed by the database's clock alone; a lease that has ended stays ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres import build_claims, claims
from adapters.postgres.claims import Claimant
from adapters.postgres.signals import Channel
from application.errors import LeaseLost
from application.leases import BuildQuota, Lease, Leased, Renewal, Settlement, Work

_TABLES: Mapping[Leased, LiteralString] = {
    Leased.IMAGE: "images",
    Leased.BUILD: "builds",
    Leased.CONTAINER: "containers",
}


def _for_each_table(sql: LiteralString) -> Mapping[Leased, LiteralString]:
    return {kind: sql.replace("@table", table) for kind, table in _TABLES.items()}


_HOLD = _for_each_table(
    """
SELECT 1 FROM @table
WHERE id = %(id)s AND lease_epoch = %(epoch)s AND lease_until IS NOT NULL FOR NO KEY UPDATE
"""
)

_COVER = _for_each_table("""
UPDATE @table
SET lease_until = greatest(lease_until, now() + make_interval(secs => %(seconds)s))
WHERE id = %(id)s AND lease_epoch = %(epoch)s AND lease_until IS NOT NULL
""")

_SETTLE = _for_each_table("""
UPDATE @table
SET lease_until = NULL,
    next_attempt_at = CASE WHEN %(keeps_schedule)s THEN next_attempt_at
                           ELSE now() + make_interval(secs => %(retry_in_seconds)s) END,
    attempts = CASE WHEN %(keeps_schedule)s THEN attempts
                    WHEN %(applied)s THEN 0 WHEN %(counts)s THEN %(attempts)s + 1
                    ELSE %(attempts)s END
WHERE id = %(id)s AND lease_epoch = %(epoch)s AND lease_until IS NOT NULL
""")

_END_EXPIRED_BUILD = """
UPDATE builds SET lease_until = NULL WHERE id = %(id)s AND lease_until < now()
"""

_BUILD_IS_FREE = "SELECT lease_until IS NULL AS is_free FROM builds WHERE id = %(id)s"

_START_BUILD_OVER = """
UPDATE builds SET lease_until = NULL, attempts = 0, next_attempt_at = now()
WHERE id = %(id)s
"""

_REVOKE = _for_each_table("""
UPDATE @table
SET lease_epoch = lease_epoch + 1, lease_until = NULL, attempts = 0,
    next_attempt_at = CASE WHEN %(due)s THEN now() END
WHERE id = %(id)s
""")

_CARRIED_OUT = """
UPDATE containers
SET settled_generation = generation, applied_generation = generation, nominated_at = NULL
WHERE id = %(id)s
"""

_SETTLE_GENERATION = """
UPDATE containers
SET settled_generation = %(generation)s,
    applied_generation = CASE WHEN %(applied)s THEN %(generation)s ELSE applied_generation END
WHERE id = %(id)s
"""

_WISHES: Mapping[Leased, LiteralString] = {
    Leased.IMAGE: "0 AS generation, false AS cancel_requested",
    Leased.BUILD: "0 AS generation, held.cancel_requested",
    Leased.CONTAINER: "held.generation, false AS cancel_requested",
}


def _with_wishes(sql: LiteralString) -> Mapping[Leased, LiteralString]:
    of_tables = _for_each_table(sql)
    return {kind: each.replace("@wish", _WISHES[kind]) for kind, each in of_tables.items()}


# Who holds one of the rows may be frozen: for that one nobody else's lease must run out.
_RENEW = _with_wishes("""
WITH free AS (
    SELECT held.id
    FROM @table AS held JOIN unnest(%(ids)s::bigint[], %(epochs)s::bigint[]) AS mine (id, epoch)
      ON held.id = mine.id AND held.lease_epoch = mine.epoch AND held.lease_until IS NOT NULL
    ORDER BY held.id FOR NO KEY UPDATE OF held SKIP LOCKED
)
UPDATE @table AS held
SET lease_until = greatest(lease_until, now() + make_interval(secs => %(seconds)s))
FROM free WHERE held.id = free.id
RETURNING held.id, @wish, true AS prolonged
""")

# Asked afterwards, of what was skipped: one that is another's by now is missing here, too.
_READ_WISHES = _with_wishes("""
SELECT held.id, @wish, false AS prolonged
FROM @table AS held JOIN unnest(%(ids)s::bigint[], %(epochs)s::bigint[]) AS mine (id, epoch)
  ON held.id = mine.id AND held.lease_epoch = mine.epoch AND held.lease_until IS NOT NULL
""")


class PostgresLeaseTable:
    """Leases of one transaction.

    Args:
        connection: the transaction's connection.
        signals: collects whom to wake after the commit.
        claimant: who claims in this transaction.
    """

    def __init__(
        self, connection: Connection[DictRow], signals: set[Channel], claimant: Claimant
    ) -> None:
        self._signals = signals
        self._connection = connection
        self._claimant = claimant

    def claim_containers(
        self, engine_id: str, works: Collection[Work], limit: int
    ) -> Sequence[Lease]:
        return claims.claim_containers(self._connection, engine_id, works, limit, self._claimant)

    def claim_builds(self, engine_id: str, quota: BuildQuota, limit: int) -> Sequence[Lease]:
        return build_claims.claim_builds(self._connection, engine_id, quota, limit, self._claimant)

    def end_expired_build(self, build_id: int) -> bool:
        self._connection.execute(_END_EXPIRED_BUILD, {"id": build_id})
        row = self._connection.execute(_BUILD_IS_FREE, {"id": build_id}).fetchone()
        return row is not None and bool(row["is_free"])

    def start_build_over(self, build_id: int) -> None:
        self._connection.execute(_START_BUILD_OVER, {"id": build_id})
        self._signals.add(Channel.WORK)

    def claim_image_removals(self, engine_id: str, limit: int) -> Sequence[Lease]:
        return claims.claim_image_removals(self._connection, engine_id, limit, self._claimant)

    def hold(self, lease: Lease) -> None:
        parameters = {"id": lease.id, "epoch": lease.epoch}
        if self._connection.execute(_HOLD[lease.kind], parameters).fetchone() is None:
            raise LeaseLost

    def cover(self, lease: Lease, seconds: float) -> None:
        parameters = {"id": lease.id, "epoch": lease.epoch, "seconds": seconds}
        if not self._connection.execute(_COVER[lease.kind], parameters).rowcount:
            raise LeaseLost

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        parameters = {
            "id": lease.id,
            "epoch": lease.epoch,
            "generation": lease.generation,
            "attempts": lease.attempts,
            "applied": settlement.applied,
            "counts": settlement.counts,
            "keeps_schedule": settlement.keeps_schedule,
            "retry_in_seconds": settlement.retry_in_seconds,
        }
        if not self._connection.execute(_SETTLE[lease.kind], parameters).rowcount:
            raise LeaseLost
        if lease.kind is Leased.CONTAINER and not settlement.keeps_schedule:
            self._connection.execute(_SETTLE_GENERATION, parameters)
        self._signals.update((Channel.WORK, Channel.OUTCOME))

    def revoke(self, kind: Leased, row_id: int, *, due: bool) -> None:
        parameters = {"id": row_id, "due": due}
        self._connection.execute(_REVOKE[kind], parameters)
        if kind is Leased.CONTAINER and not due:
            self._connection.execute(_CARRIED_OUT, parameters)
        self._signals.update((Channel.WORK, Channel.OUTCOME))

    def renew(self, leases: Collection[Lease], seconds: float) -> Mapping[Lease, Renewal]:
        renewed: dict[Lease, Renewal] = {}
        for kind in Leased:
            mine = {lease.id: lease for lease in leases if lease.kind is kind}
            if not mine:
                continue
            renewed |= self._told(_RENEW[kind], mine, seconds)
            skipped = {id_: lease for id_, lease in mine.items() if lease not in renewed}
            if skipped:
                renewed |= self._told(_READ_WISHES[kind], skipped, seconds)
        return renewed

    def _told(
        self, sql: LiteralString, mine: Mapping[int, Lease], seconds: float
    ) -> dict[Lease, Renewal]:
        parameters = {
            "ids": list(mine),
            "epochs": [lease.epoch for lease in mine.values()],
            "seconds": seconds,
        }
        rows = self._connection.execute(sql, parameters).fetchall()
        return {
            mine[row["id"]]: Renewal(row["generation"], row["cancel_requested"], row["prolonged"])
            for row in rows
        }
