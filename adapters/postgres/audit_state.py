"""Everything but the ledger, as an audit compares it."""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.containers import SELECT_CONTAINERS, container_of
from application.audit.records import (
    BuildRecord,
    ContainerRecord,
    EngineRecord,
    HeldPort,
    ImageRecord,
    Restoration,
    State,
)
from application.engine_calls import ContainerOrder
from domain.build import BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_spec import repository_of
from domain.image_status import ImageStatus

# Of the living everything, because what they are made from is compared too.
_LIVE = SELECT_CONTAINERS + "WHERE status NOT IN ('failed', 'deleted')"

# What is over is under no lease, not even one that has run out.
_CONTAINERS = """
SELECT id, uid, image_id, build_id, engine_id, name, status, desired, wished_at, slot,
       external_port, docker_id, container_ip, open_run_id, sequence,
       restart_at IS NOT NULL AS restarts,
       lease_until IS NOT NULL AND (lease_until >= now() OR status = 'deleted') AS leased,
       generation > settled_generation OR nominated_at IS NOT NULL
           OR coalesce(next_attempt_at <= now(), false) AS due,
       generation > settled_generation OR next_attempt_at IS NOT NULL
           OR coalesce(lease_until >= now(), false) AS awaited
FROM containers
"""

_IMAGES = """
SELECT id, user_id, app_hostname, status, max_instances, source_path, tag, active_build_id,
       engine_id, sequence,
       lease_until IS NOT NULL AND (lease_until >= now() OR status = 'deleted') AS leased,
       next_attempt_at IS NOT NULL AS due
FROM images
"""

_BUILDS = """
SELECT id, image_id, status, engine_id, docker_image_id, public_tag_set, finished_at,
       lease_until IS NOT NULL AND lease_until >= now() AS leased,
       next_attempt_at IS NOT NULL AS due
FROM builds
"""

_PORTS = "SELECT engine_id, port, container_id FROM host_ports WHERE container_id IS NOT NULL"

_HOSTNAMES = "SELECT hostname, user_id FROM hostnames"

_ENGINES = "SELECT engine_id, quarantine_reason FROM engines"

_RESTORATIONS = """
SELECT raised_by, last_event_id, last_image_id, last_container_id FROM restorations
"""


def read_state(connection: Connection[DictRow]) -> State:
    """Read it in the transaction of the connection."""

    def rows(sql: str) -> list[DictRow]:
        return connection.execute(sql.encode()).fetchall()

    hashes = {row["id"]: _spec_hash(row) for row in rows(_LIVE)}
    return State(
        containers={
            row["id"]: ContainerRecord(
                **row
                | {
                    "status": ContainerStatus(row["status"]),
                    "desired": Desired(row["desired"]),
                    "spec_hash": hashes.get(row["id"]),
                }
            )
            for row in rows(_CONTAINERS)
        },
        images={row["id"]: _image(row) for row in rows(_IMAGES)},
        builds={
            row["id"]: BuildRecord(**row | {"status": BuildStatus(row["status"])})
            for row in rows(_BUILDS)
        },
        ports=[HeldPort(**row) for row in rows(_PORTS)],
        hostnames={row["hostname"]: row["user_id"] for row in rows(_HOSTNAMES)},
        engines={row["engine_id"]: EngineRecord(**row) for row in rows(_ENGINES)},
        restorations=[Restoration(**row) for row in rows(_RESTORATIONS)],
    )


def _spec_hash(row: DictRow) -> str | None:
    container = container_of(row)
    if container.external_port is None:
        return None
    return ContainerOrder.of(container, container.external_port).spec_hash


def _image(row: DictRow) -> ImageRecord:
    repository = repository_of(row["user_id"], row["id"])
    tag = row.pop("tag")
    return ImageRecord(
        **row
        | {
            "status": ImageStatus(row["status"]),
            "repository": repository,
            "public_tag": f"{repository}:{tag}",
        }
    )
