"""Why an engine does what is wished of it to nobody at the moment, as users read it."""

# ruff: noqa: S608 - the queries are put together from the constants of this file alone

from __future__ import annotations

from typing import LiteralString

# Workers look at their engine every 5 s: one that none has told of for longer is out of reach.
_IS_STALE: LiteralString = "e.checked_at < now() - interval '30 seconds'"

# Of an engine `e`; null while nothing is wrong with it.
ENGINE_TROUBLE: LiteralString = f"""
CASE WHEN e.quarantined_at IS NOT NULL THEN 'the engine is in quarantine: an operator has to look'
     WHEN {_IS_STALE} THEN 'no worker is there for its engine'
     WHEN NOT e.reachable THEN 'the engine is not reachable at the moment' END
"""

# Of an image `i`, while it waits for an engine: as `waiting.trouble`. A queued build may wait for
# whichever comes first: then one that nothing is wrong with is enough.
IMAGE_WAITING: LiteralString = f"""
LEFT JOIN LATERAL (
    SELECT CASE WHEN i.status = 'deleting' THEN i.engine_id
                ELSE (SELECT b.engine_id FROM builds b
                      WHERE b.image_id = i.id AND b.status IN ('queued', 'running')
                      ORDER BY b.id LIMIT 1) END AS engine_id
) AS waits_for ON i.status IN ('building', 'deleting')
LEFT JOIN LATERAL (
    SELECT CASE WHEN count(*) = 0 THEN 'no worker is there'
                ELSE nullif(min(coalesce({ENGINE_TROUBLE}, '')), '') END AS trouble
    FROM engines e
    WHERE e.engine_id = waits_for.engine_id OR waits_for.engine_id IS NULL AND NOT {_IS_STALE}
) AS waiting ON i.status IN ('building', 'deleting')
"""
