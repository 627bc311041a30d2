"""The database holds by itself what the domain promises; the names of its constraints are keys."""

import re
from enum import StrEnum

import psycopg
import pytest
from psycopg import errors as pg

from domain.build import BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_status import ImageStatus
from tests.integration.postgres.installation import Installation


@pytest.mark.parametrize(
    ("constraint", "enum"),
    [
        ("images_status_check", ImageStatus),
        ("builds_status_check", BuildStatus),
        ("containers_status_check", ContainerStatus),
        ("containers_desired_check", Desired),
    ],
)
def test_an_enum_and_its_check_constraint_hold_the_same_values(
    installation: Installation, constraint: str, enum: type[StrEnum]
) -> None:
    (row,) = installation.rows(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = %(name)s",
        {"name": constraint},
    )

    assert set(re.findall(r"'(\w+)'::text", row["text"])) == {member.value for member in enum}


def test_every_constraint_and_index_has_a_name_that_was_given_to_it(
    installation: Installation,
) -> None:
    rows = installation.rows(
        """
        SELECT conname AS name, conrelid::regclass::text AS "table" FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_index
        WHERE indrelid::regclass::text IN ('images', 'builds', 'containers', 'host_ports',
                                           'hostnames', 'engines', 'events', 'outbox')
        """
    )

    assert rows
    assert [row["name"] for row in rows if not row["name"].startswith(f"{row['table']}_")] == []


# what is broken in a healthy installation with one running container, and what forbids it
BROKEN = [
    ("UPDATE images SET user_id = 'Bad_Name'", "images_user_id_check"),
    ("UPDATE images SET min_instances = 4", "images_instances_check"),
    ("UPDATE images SET max_instances = 11", "images_instances_check"),
    ("UPDATE images SET container_port = 0", "images_container_port_check"),
    ("UPDATE images SET active_build_id = NULL", "images_ready_build_check"),
    ("UPDATE images SET app_hostname = 'unclaimed.example'", "images_hostname_owner_fkey"),
    ("UPDATE hostnames SET user_id = 'user-2'", "images_hostname_owner_fkey"),
    ("DELETE FROM hostnames", "images_hostname_owner_fkey"),
    ("UPDATE builds SET docker_image_id = NULL", "builds_succeeded_check"),
    ("UPDATE builds SET log_tail = repeat('x', 8001)", "builds_log_tail_check"),
    ("UPDATE containers SET open_run_id = NULL", "containers_run_running_check"),
    ("UPDATE containers SET slot = NULL, external_port = NULL", "containers_slot_held_check"),
    ("UPDATE containers SET status = 'failed'", "containers_slot_held_check"),
    ("UPDATE containers SET status = 'deleted'", "containers_slot_held_check"),
    ("UPDATE containers SET external_port = NULL", "containers_port_held_check"),
    ("UPDATE containers SET slot = 11", "containers_slot_check"),
    ("UPDATE containers SET slot = 4", "containers_slot_limit_check"),
    (
        "UPDATE containers SET slot = 3; UPDATE images SET max_instances = 2",
        "containers_slot_limit_check",
    ),
    ("UPDATE containers SET slot_limit = 9", "containers_slot_limit_fkey"),
    ("UPDATE containers SET generation = 0", "containers_generation_check"),
    ("UPDATE containers SET applied_generation = 2", "containers_generation_check"),
    ("UPDATE containers SET sequence = -1", "containers_sequence_check"),
    (
        "UPDATE host_ports SET container_id = (SELECT id FROM containers)",
        "host_ports_container_id_key",
    ),
    ("UPDATE events SET sequence = 0", "events_sequence_check"),
    ("UPDATE events SET sequence = 1 WHERE stream LIKE 'container%'", "events_stream_sequence_key"),
    ("UPDATE events SET recorded_at = 'infinity'", "events_recorded_at_check"),
    ("DELETE FROM events", "outbox_event_fkey"),
    ("UPDATE outbox SET stream = 'container/0'", "outbox_event_fkey"),
    ("UPDATE outbox SET sequence = sequence + 1", "outbox_event_fkey"),
    (
        """INSERT INTO builds (image_id, user_id, status, log_path, created_at)
           SELECT image_id, user_id, 'queued', 'log', now() FROM builds, generate_series(1, 2)""",
        "builds_one_unfinished_key",
    ),
]


@pytest.mark.parametrize(("sql", "constraint"), BROKEN)
def test_a_broken_promise_is_refused_by_the_constraint_that_is_named_after_it(
    installation: Installation, sql: str, constraint: str
) -> None:
    installation.run_container()

    with pytest.raises(psycopg.IntegrityError) as refusal, psycopg.connect(installation.url) as own:
        own.execute(sql.encode())

    assert refusal.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("column", "constraint"),
    [
        ("slot", "containers_image_slot_key"),
        ("external_port", "containers_engine_port_key"),
        ("name", "containers_engine_name_key"),
        ("uid", "containers_uid_key"),
    ],
)
def test_two_live_containers_share_neither_slot_nor_port_nor_name(
    installation: Installation, column: str, constraint: str
) -> None:
    first, second = installation.create(installation.ready_image(), 2)

    with pytest.raises(pg.UniqueViolation) as refusal, psycopg.connect(installation.url) as own:
        own.execute(
            f"""UPDATE containers SET {column} = other.{column} FROM containers other
                WHERE other.id = {first} AND containers.id = {second}""".encode()
        )

    assert refusal.value.diag.constraint_name == constraint
