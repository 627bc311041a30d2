"""One transaction: state, ledger and outbox together or not at all; and a database that is away."""

import json
from pathlib import Path

import msgspec
import pytest

from adapters.postgres.pool import create_pool
from adapters.wire.events import ContainerEventBody, ImageEventBody
from application.errors import DatabaseUnavailable
from application.unit_of_work import UnitOfWork
from domain.container_status import Desired
from tests.integration.postgres.crashes import Crash, CrashingTransactions
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.observations import ended, seen

KNOWN_TO_CONSUMERS = [
    "event",
    "user_id",
    "container_id",
    "container_name",
    "container_ip",
    "image_id",
    "internal_port",
    "external_port",
    "app_hostname",
    "timestamp",
]


def test_an_outcome_is_in_state_ledger_and_outbox_at_once(installation: Installation) -> None:
    container_id = installation.run_container()

    row = installation.row("containers", container_id)
    events = installation.rows(
        f"SELECT * FROM events WHERE stream = 'container/{container_id}' ORDER BY sequence"
    )
    outbox = installation.rows(
        f"SELECT * FROM outbox WHERE stream = 'container/{container_id}' ORDER BY id"
    )
    assert (row["status"], row["sequence"]) == ("running", 2)
    assert [(event["sequence"], event["type"]) for event in events] == [
        (1, "container.created"),
        (2, "container.started"),
    ]
    assert [(entry["event_id"], entry["sequence"]) for entry in outbox] == [
        (event["event_id"], event["sequence"]) for event in events
    ]
    assert {(entry["topic"], entry["key"]) for entry in outbox} == {
        ("container-lifecycle", str(row["image_id"]))
    }


def test_an_event_is_stored_as_consumers_read_it(installation: Installation) -> None:
    container_id = installation.run_container()

    (event,) = installation.rows("SELECT * FROM events WHERE type = 'container.started'")
    value = json.loads(event["payload"])
    row = installation.row("containers", container_id)
    assert list(value)[:10] == KNOWN_TO_CONSUMERS
    assert set(value) == {field.name for field in msgspec.structs.fields(ContainerEventBody)}
    assert value["timestamp"] == value["occurred_at"] == "2026-03-01T12:00:01Z"
    assert (value["event_id"], value["run_id"]) == (str(event["event_id"]), str(row["open_run_id"]))
    assert (value["container_id"], value["external_port"]) == (row["docker_id"], 20000)
    assert (value["cpu_limit"], value["exit_code"], value["request_id"]) == (0.5, None, "create")
    assert dict(event["headers"]) == {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(event["event_id"]),
        "ce_source": "/orchestrator/test",
        "ce_type": "container.started",
        "ce_subject": f"container/{container_id}",
        "ce_time": "2026-03-01T12:00:01Z",
        "ce_sequence": "2",
    }


def test_an_image_event_has_its_own_topic_and_every_key(installation: Installation) -> None:
    image_id = installation.upload()

    (event,) = installation.rows("SELECT * FROM events")
    value = json.loads(event["payload"])
    assert (event["topic"], event["key"], event["container_id"]) == (
        "image-lifecycle",
        str(image_id),
        None,
    )
    assert set(value) == {field.name for field in msgspec.structs.fields(ImageEventBody)}
    assert (value["event"], value["image_digest"]) == ("image.build_started", None)


def test_what_dies_before_the_commit_leaves_nothing(installation: Installation) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, Desired.STOPPED)
    (lease,) = installation.claim()
    tables = ("containers", "events", "outbox", "host_ports")
    query = "SELECT t::text FROM {} t ORDER BY 1"
    before = [installation.rows(query.format(table)) for table in tables]
    dying = CrashingTransactions(installation.transactions)

    with pytest.raises(Crash):
        installation.outcomes(lease, dying).stopped(ended(container_id))

    assert [installation.rows(query.format(table)) for table in tables] == before
    installation.outcomes(lease).stopped(ended(container_id))
    assert installation.told(f"container/{container_id}")[-1] == "container.stopped"


def test_an_upload_that_dies_at_the_commit_leaves_no_row_and_its_context_for_the_sweep(
    installation: Installation,
) -> None:
    with pytest.raises(Crash):
        installation.upload(
            "crasher", transactions=CrashingTransactions(installation.transactions, 1)
        )

    assert installation.rows("SELECT 1 FROM images UNION ALL SELECT 1 FROM hostnames") == []
    assert list(installation.store.path("crasher").glob("*/context/Dockerfile"))


def test_a_commit_whose_answer_is_lost_is_reported_and_never_repeated(
    installation: Installation,
) -> None:
    container_id = installation.run_container()
    carried_out: list[int] = []

    def work(uow: UnitOfWork) -> None:
        carried_out.append(1)
        container = uow.containers.lock(container_id)
        container.record_running(seen(container_id, 2), container.created_at)
        uow.containers.save(container)
        installation.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND state = 'idle in transaction'"
        )

    with pytest.raises(DatabaseUnavailable):
        installation.transactions.run(work)

    assert carried_out == [1]
    assert installation.told(f"container/{container_id}") == [
        "container.created",
        "container.started",
    ]


def test_a_closed_pool_is_a_database_that_is_not_available(
    module_database: str, tmp_path: Path
) -> None:
    with Installation(module_database, tmp_path) as closed:
        pass

    with pytest.raises(DatabaseUnavailable):
        closed.transactions.run(lambda uow: uow.images.next_id())
    with pytest.raises(DatabaseUnavailable):
        closed.reader.images("user-1")
    with pytest.raises(DatabaseUnavailable):
        closed.registry.health()


@pytest.mark.parametrize(("set_to", "kept"), [("off", "on"), ("remote_write", "remote_write")])
def test_what_is_committed_is_kept_whatever_the_server_is_set_to(
    installation: Installation, set_to: str, kept: str
) -> None:
    (row,) = installation.rows("SELECT current_database() AS name")
    installation.execute(f"ALTER DATABASE {row['name']} SET synchronous_commit = {set_to}")
    pool = create_pool(installation.url, application_name="under-test", size=1)
    with pool, pool.connection() as connection:
        found = connection.execute("SHOW synchronous_commit").fetchone()
    installation.execute(f"ALTER DATABASE {row['name']} RESET synchronous_commit")
    assert found == {"synchronous_commit": kept}
