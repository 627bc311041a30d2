"""The containers that users see: what is desired of them, and what is observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from adapters.postgres.engine_trouble import ENGINE_TROUBLE
from adapters.postgres.row_reader import RowReader
from application.errors import NotFound
from application.views import ContainerView

# What is desired shows at once, before a worker has taken it up, and so does what it waits for:
# what is on its way tells what is wrong with its engine. Why it ended or failed before is no reason
# for that, though it stands in the row until then.
_CONTAINER_COLUMNS: LiteralString = (
    """
SELECT c.id, c.image_id, c.user_id, c.name, shown.status,
       coalesce(
           CASE WHEN shown.status IN ('creating', 'starting', 'stopping', 'deleting')
                     OR (c.desired, c.status) = ('stopped', 'exited') THEN """
    + ENGINE_TROUBLE
    + """ END,
           CASE WHEN c.status NOT IN ('exited', 'failed') OR shown.status = c.status
                THEN c.status_reason END) AS status_reason,
       c.desired, c.docker_id AS container_id, c.container_ip, c.host, c.internal_port,
       c.external_port, c.app_hostname, c.exit_code, c.oom_killed,
       c.restart_policy, c.restart_count, c.crash_count,
       CASE WHEN c.status = 'exited' AND c.desired = 'running' THEN c.restart_at END
           AS next_restart_at,
       c.last_log_lines, c.created_at, c.started_at, c.finished_at
FROM containers c JOIN engines e USING (engine_id)
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.status = 'deleted' THEN 'deleted'
                WHEN c.desired = 'deleted' THEN 'deleting'
                WHEN c.desired = 'stopped' AND c.status IN ('running', 'starting') THEN 'stopping'
                WHEN c.desired = 'running' AND c.status = 'stopped' THEN 'starting'
                WHEN c.desired = 'running' AND c.status = 'exited'
                     AND c.generation > c.settled_generation THEN 'starting'
                ELSE c.status END AS status
) AS shown
"""
)

_CONTAINERS: LiteralString = (
    _CONTAINER_COLUMNS
    + """
WHERE c.user_id = %(user_id)s AND c.status <> 'deleted'
  AND (%(image_id)s::bigint IS NULL OR c.image_id = %(image_id)s)
ORDER BY c.id DESC
"""
)

_CONTAINER: LiteralString = (
    _CONTAINER_COLUMNS
    + "WHERE c.id = %(container_id)s AND c.user_id = %(user_id)s AND c.status <> 'deleted'"
)

_CONTAINERS_BY_ID: LiteralString = _CONTAINER_COLUMNS + "WHERE c.id = ANY(%(ids)s) ORDER BY c.id"

_IMAGE_EXISTS: LiteralString = """
SELECT 1 FROM images
WHERE id = %(image_id)s AND user_id = %(user_id)s AND status <> 'deleted'
"""


class ContainerReader(RowReader):
    """Reads containers."""

    def containers(self, user_id: str, image_id: int | None = None) -> Sequence[ContainerView]:
        parameters = {"user_id": user_id, "image_id": image_id}
        rows = self._rows(_CONTAINERS, parameters)
        if image_id is not None and not rows and not self._rows(_IMAGE_EXISTS, parameters):
            raise NotFound("image")
        return [ContainerView(**row) for row in rows]

    def container(self, user_id: str, container_id: int) -> ContainerView:
        rows = self._rows(_CONTAINER, {"user_id": user_id, "container_id": container_id})
        if not rows:
            raise NotFound("container")
        return ContainerView(**rows[0])

    def containers_by_id(self, container_ids: Sequence[int]) -> Sequence[ContainerView]:
        rows = self._rows(_CONTAINERS_BY_ID, {"ids": list(container_ids)})
        return [ContainerView(**row) for row in rows]
