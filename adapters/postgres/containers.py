"""Containers in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from adapters.postgres.identities import next_id
from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.signals import Channel
from application.errors import NotFound, UnreadableRow
from domain.container import Container
from domain.container_spec import ContainerSpec
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause
from domain.restart_policy import RestartPolicy

_INSERT = """
INSERT INTO containers (id, uid, image_id, build_id, user_id, name, engine_id, host, app_hostname,
                        internal_port, external_port, slot, slot_limit, cpu_limit, memory_limit,
                        env, image_digest, restart_policy, desired, generation, wish_cause,
                        request_id, wished_at, created_by, status, created_at)
VALUES (%(id)s, %(uid)s, %(image_id)s, %(build_id)s, %(user_id)s, %(name)s, %(engine_id)s,
        %(host)s, %(app_hostname)s, %(internal_port)s, %(external_port)s, %(slot)s,
        (SELECT max_instances FROM images WHERE images.id = %(image_id)s), %(cpu_limit)s,
        %(memory_limit)s, %(env)s, %(image_digest)s, %(restart_policy)s, %(desired)s,
        %(generation)s, %(wish_cause)s, %(request_id)s, %(wished_at)s, %(created_by)s, %(status)s,
        %(created_at)s)
"""

SELECT_CONTAINERS = """
SELECT id, uid, image_id, build_id, user_id, name, engine_id, host, app_hostname, internal_port,
       external_port, slot, cpu_limit, memory_limit, env, image_digest, restart_policy, desired,
       generation, settled_generation, wish_cause, request_id, wished_at, created_by,
       status, status_reason, docker_id, container_ip, open_run_id,
       last_run_id, started_at, finished_at, last_seen_running_at, exit_code, oom_killed,
       restart_count, crash_count, restart_at, restart_cause, last_log_lines, sequence,
       last_occurred_at, created_at
FROM containers
"""

_LOCK = SELECT_CONTAINERS + "WHERE id = %(id)s FOR NO KEY UPDATE"

_IMAGE_ID = "SELECT image_id FROM containers WHERE id = %(id)s"

_OF_IMAGE = SELECT_CONTAINERS + "WHERE image_id = %(image_id)s AND status <> 'deleted' ORDER BY id"

_LOCK_ALL_OF = _OF_IMAGE + " FOR NO KEY UPDATE"

_USED_SLOTS = "SELECT slot FROM containers WHERE image_id = %(image_id)s AND slot IS NOT NULL"

_NOTE_LAST_WORDS = """
UPDATE containers SET last_log_lines = %(logs)s
WHERE id = %(id)s AND status IN ('exited', 'starting') AND last_run_id = %(run_id)s
  AND last_log_lines IS NULL
"""

_IS_MISSING = """
SELECT FROM containers JOIN engines USING (engine_id)
WHERE containers.id = %(id)s AND missing_since IS NOT NULL AND quarantined_at IS NULL
"""

_UPDATE = """
UPDATE containers
SET name = %(name)s, external_port = %(external_port)s, slot = %(slot)s,
    slot_limit = CASE WHEN %(slot)s::integer IS NOT NULL THEN slot_limit END, desired = %(desired)s,
    generation = %(generation)s, wish_cause = %(wish_cause)s, request_id = %(request_id)s,
    wished_at = %(wished_at)s,
    status = %(status)s, status_reason = %(status_reason)s, docker_id = %(docker_id)s,
    container_ip = %(container_ip)s, open_run_id = %(open_run_id)s, last_run_id = %(last_run_id)s,
    started_at = %(started_at)s, finished_at = %(finished_at)s,
    last_seen_running_at = %(last_seen_running_at)s, exit_code = %(exit_code)s,
    oom_killed = %(oom_killed)s, restart_count = %(restart_count)s,
    crash_count = %(crash_count)s, restart_at = %(restart_at)s, restart_cause = %(restart_cause)s,
    last_log_lines = %(last_log_lines)s, sequence = %(sequence)s,
    last_occurred_at = %(last_occurred_at)s
WHERE id = %(id)s
"""

# Columns that stand in a row as the aggregate has them.
_STATE = (
    "name", "external_port", "slot", "desired", "generation", "wish_cause", "request_id",
    "wished_at",
    "status", "status_reason", "docker_id", "container_ip", "open_run_id", "last_run_id",
    "started_at", "finished_at", "last_seen_running_at", "exit_code", "oom_killed",
    "restart_count", "crash_count", "restart_at", "restart_cause", "last_log_lines", "sequence",
    "last_occurred_at",
)  # fmt: skip


class PostgresContainerRepository:
    """Containers of one transaction."""

    def __init__(
        self, connection: Connection[DictRow], ledger: PostgresLedger, signals: set[Channel]
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._signals = signals

    def next_id(self) -> int:
        return next_id(self._connection, "containers")

    def add(self, container: Container) -> None:
        spec = container.spec
        self._connection.execute(
            _INSERT,
            _state(container)
            | {
                "uid": container.uid,
                "image_id": spec.image_id,
                "build_id": spec.build_id,
                "user_id": spec.user_id,
                "engine_id": spec.engine_id,
                "host": spec.host,
                "app_hostname": spec.app_hostname,
                "internal_port": spec.internal_port,
                "cpu_limit": spec.cpu_limit,
                "memory_limit": spec.memory_limit,
                "env": Jsonb(dict(spec.env)),
                "image_digest": spec.image_digest,
                "restart_policy": spec.restart_policy,
                "created_by": container.created_by,
                "created_at": container.created_at,
            },
        )
        self._signals.add(Channel.WORK)

    def lock(self, container_id: int) -> Container:
        row = self._connection.execute(_LOCK, {"id": container_id}).fetchone()
        if row is None:
            raise NotFound("container")
        return container_of(row)

    def image_id(self, container_id: int) -> int:
        row = self._connection.execute(_IMAGE_ID, {"id": container_id}).fetchone()
        if row is None:
            raise NotFound("container")
        return int(row["image_id"])

    def of_image(self, image_id: int) -> Sequence[Container]:
        rows = self._connection.execute(_OF_IMAGE, {"image_id": image_id}).fetchall()
        return [container_of(row) for row in rows]

    def lock_all_of(self, image_id: int) -> Sequence[Container]:
        rows = self._connection.execute(_LOCK_ALL_OF, {"image_id": image_id}).fetchall()
        return [container_of(row) for row in rows]

    def used_slots(self, image_id: int) -> Collection[int]:
        rows = self._connection.execute(_USED_SLOTS, {"image_id": image_id}).fetchall()
        return {row["slot"] for row in rows}

    def save(self, container: Container) -> None:
        self._connection.execute(_UPDATE, _state(container))
        self._ledger.record(container.events)
        self._signals.update((Channel.WORK, Channel.OUTCOME))
        container.events.clear()

    def note_last_words(self, container_id: int, run_id: UUID, logs: str) -> None:
        parameters = {"id": container_id, "run_id": run_id, "logs": logs}
        self._connection.execute(_NOTE_LAST_WORDS, parameters)

    def is_missing(self, container_id: int) -> bool:
        return self._connection.execute(_IS_MISSING, {"id": container_id}).fetchone() is not None


def _state(container: Container) -> dict[str, object]:
    return {"id": container.id} | {name: getattr(container, name) for name in _STATE}


def container_of(row: DictRow) -> Container:
    """Rehydrate a container from a row of SELECT_CONTAINERS; raises UnreadableRow."""
    try:
        return _container_of(row)
    except ValueError as exc:
        raise UnreadableRow("container", row["id"], str(exc)) from exc


def _container_of(row: DictRow) -> Container:
    spec = ContainerSpec(
        image_id=row["image_id"],
        build_id=row["build_id"],
        user_id=row["user_id"],
        app_hostname=row["app_hostname"],
        engine_id=row["engine_id"],
        host=row["host"],
        internal_port=row["internal_port"],
        cpu_limit=row["cpu_limit"],
        memory_limit=row["memory_limit"],
        env=row["env"],
        image_digest=row["image_digest"],
        restart_policy=RestartPolicy(row["restart_policy"]),
    )
    closed = {
        "desired": Desired(row["desired"]),
        "wish_cause": Cause(row["wish_cause"]),
        "status": ContainerStatus(row["status"]),
        "restart_cause": Cause(row["restart_cause"]) if row["restart_cause"] else None,
    }
    state = {name: row[name] for name in _STATE} | closed
    return Container(
        id=row["id"],
        uid=row["uid"],
        spec=spec,
        created_at=row["created_at"],
        created_by=Cause(row["created_by"]),
        # The leases' to write: it tells how a claim ended.
        settled_generation=row["settled_generation"],
        **state,
    )
