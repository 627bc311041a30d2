"""What the containers of an image are for its min_instances, counted in PostgreSQL.

The same rules as `domain.instances`, which a test holds against these: a query over all images
cannot load their containers to ask them.
"""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from domain.instances import Fleet, Replenishment
from domain.limits import InstanceLimits

_IDLE: LiteralString = """
(c.desired = 'running' AND c.status = 'exited' AND c.restart_at IS NULL
 AND c.generation <= c.settled_generation)
"""

# One row for each image `i`; of an image that keeps no instances nothing is read.
FLEET: LiteralString = f"""
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.desired = 'running' AND c.status <> 'failed'
                            AND NOT {_IDLE}) AS serving,
           count(*) FILTER (WHERE {_IDLE}) AS idle,
           count(*) FILTER (WHERE c.desired = 'stopped' AND c.slot IS NOT NULL) AS stopped,
           count(*) FILTER (WHERE c.slot IS NOT NULL) AS live,
           count(*) FILTER (
               WHERE c.desired = 'running' AND c.wish_cause = 'min_instances'
                 AND c.restart_cause IS NULL
                 AND (c.status IN ('creating', 'starting')
                      OR c.status = 'exited' AND c.generation > c.settled_generation)) AS attempts,
           count(*) FILTER (WHERE c.status = 'failed' AND c.desired <> 'deleted'
                            AND c.created_by = 'min_instances') AS failed
    FROM containers c
    WHERE c.image_id = i.id AND c.status <> 'deleted' AND i.min_instances > 0
) AS fleet
"""

FLEET_COLUMNS: LiteralString = """,
       fleet.serving, fleet.idle, fleet.stopped, fleet.live, fleet.attempts,
       i.active_build_id IS NOT NULL AS built,
       i.replenish_failures, i.replenish_after, i.replenish_reason, now() AS now
"""

# After a failure one at a time; of those that failed the newest stays.
_SHORT_OF_INSTANCES: LiteralString = f"""
SELECT i.id FROM images i {FLEET}
WHERE i.min_instances > 0 AND i.status NOT IN ('deleting', 'deleted')
  AND i.active_build_id IS NOT NULL
  AND ((i.replenish_after IS NULL OR i.replenish_after <= now())
       AND fleet.serving < i.min_instances
       AND (fleet.idle > 0 OR fleet.live < i.max_instances)
       AND (i.replenish_failures = 0 OR fleet.attempts = 0)
       OR fleet.failed > 1)
ORDER BY i.id LIMIT %(limit)s
"""


def short_of_instances(connection: Connection[DictRow], limit: int) -> Sequence[int]:
    """Return images for whose min_instances something can be done now."""
    rows = connection.execute(_SHORT_OF_INSTANCES, {"limit": limit}).fetchall()
    return [int(row["id"]) for row in rows]


def shortfall_shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return an image's row with the counts turned into what users see of them."""
    shown = dict(row)
    limits = InstanceLimits(row["min_instances"], row["max_instances"])
    fleet = Fleet(*(shown.pop(name) for name in ("serving", "idle", "stopped", "live", "attempts")))
    replenishment = Replenishment(
        *(shown.pop(f"replenish_{name}") for name in ("failures", "after", "reason"))
    )
    now, built = shown.pop("now"), shown.pop("built")
    over = row["status"] in {"deleting", "deleted"}
    reason = fleet.why_short(limits, replenishment, now, built=built)
    return shown | {
        "instances_short": 0 if over else fleet.short(limits),
        "instances_short_reason": None if over else reason,
    }
