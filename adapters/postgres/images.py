"""Images in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres import instances
from adapters.postgres.folder_locks import lock_folder
from adapters.postgres.identities import next_id
from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.signals import Channel
from application.errors import NotFound
from domain.image import Image
from domain.image_spec import ImageSpec
from domain.image_status import ImageStatus
from domain.instances import Replenishment
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy

_INSERT = """
INSERT INTO images (id, user_id, name, tag, app_hostname, container_port, min_instances,
                    max_instances, cpu_limit, memory_limit, restart_policy, source_path, status,
                    sequence, request_id, created_at, updated_at)
VALUES (%(id)s, %(user_id)s, %(name)s, %(tag)s, %(app_hostname)s, %(container_port)s,
        %(min_instances)s, %(max_instances)s, %(cpu_limit)s, %(memory_limit)s, %(restart_policy)s,
        %(source_path)s, %(status)s, %(sequence)s, %(request_id)s, %(created_at)s, %(updated_at)s)
"""

_LOCK = """
SELECT id, user_id, name, tag, app_hostname, container_port, min_instances, max_instances,
       cpu_limit, memory_limit, restart_policy, source_path, status, status_reason,
       active_build_id, engine_id, sequence, request_id, replenish_failures, replenish_after,
       replenish_reason, created_at, updated_at
FROM images WHERE id = %(id)s FOR NO KEY UPDATE
"""

# An image that enters `deleting` becomes due: its removal is then claimed by a worker.
_UPDATE = """
UPDATE images
SET status = %(status)s, status_reason = %(status_reason)s, active_build_id = %(active_build_id)s,
    engine_id = %(engine_id)s, sequence = %(sequence)s, request_id = %(request_id)s,
    updated_at = %(updated_at)s, min_instances = %(min_instances)s,
    max_instances = %(max_instances)s, cpu_limit = %(cpu_limit)s,
    memory_limit = %(memory_limit)s, restart_policy = %(restart_policy)s,
    replenish_failures = %(replenish_failures)s, replenish_after = %(replenish_after)s,
    replenish_reason = %(replenish_reason)s,
    next_attempt_at = CASE WHEN %(status)s = 'deleting' AND status <> 'deleting' THEN now()
                           ELSE next_attempt_at END
WHERE id = %(id)s
"""


class PostgresImageRepository:
    """Images of one transaction."""

    def __init__(
        self, connection: Connection[DictRow], ledger: PostgresLedger, signals: set[Channel]
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._signals = signals

    def next_id(self) -> int:
        return next_id(self._connection, "images")

    def lock_folder(self, image_id: int) -> None:
        lock_folder(self._connection, image_id)

    def add(self, image: Image) -> None:
        spec = image.spec
        self._connection.execute(
            _INSERT,
            _state(image)
            | {
                "user_id": spec.user_id,
                "name": spec.name,
                "tag": spec.tag,
                "app_hostname": spec.app_hostname,
                "container_port": spec.container_port,
                "source_path": image.source_path,
                "created_at": image.created_at,
            },
        )
        self._record_events(image)

    def lock(self, image_id: int) -> Image:
        row = self._connection.execute(_LOCK, {"id": image_id}).fetchone()
        if row is None:
            raise NotFound("image")
        return _image(row)

    def save(self, image: Image) -> None:
        self._connection.execute(_UPDATE, _state(image))
        self._record_events(image)

    def short_of_instances(self, limit: int) -> Sequence[int]:
        return instances.short_of_instances(self._connection, limit)

    def _record_events(self, image: Image) -> None:
        self._ledger.record(image.events)
        self._signals.update((Channel.WORK, Channel.OUTCOME))
        image.events.clear()


def _state(image: Image) -> dict[str, object]:
    spec, replenishment = image.spec, image.replenishment
    return {
        "id": image.id,
        "status": image.status,
        "status_reason": image.status_reason,
        "active_build_id": image.active_build_id,
        "engine_id": image.engine_id,
        "sequence": image.sequence,
        "request_id": image.request_id,
        "updated_at": image.updated_at,
        "min_instances": spec.instances.minimum,
        "max_instances": spec.instances.maximum,
        "cpu_limit": spec.resources.cpu,
        "memory_limit": spec.resources.memory,
        "restart_policy": spec.restart_policy,
        "replenish_failures": replenishment.failures,
        "replenish_after": replenishment.after,
        "replenish_reason": replenishment.reason,
    }


def _image(row: DictRow) -> Image:
    spec = ImageSpec(
        user_id=row["user_id"],
        name=row["name"],
        tag=row["tag"],
        app_hostname=row["app_hostname"],
        container_port=row["container_port"],
        instances=InstanceLimits(row["min_instances"], row["max_instances"]),
        resources=ResourceLimits(row["cpu_limit"], row["memory_limit"]),
        restart_policy=RestartPolicy(row["restart_policy"]),
    )
    return Image(
        id=row["id"],
        spec=spec,
        source_path=row["source_path"],
        status=ImageStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status_reason=row["status_reason"],
        active_build_id=row["active_build_id"],
        engine_id=row["engine_id"],
        sequence=row["sequence"],
        request_id=row["request_id"],
        replenishment=Replenishment(
            row["replenish_failures"], row["replenish_after"], row["replenish_reason"]
        ),
    )
