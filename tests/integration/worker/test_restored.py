"""After a restored backup no number that consumers may have seen is given again."""

import time
from collections.abc import Callable

import psycopg
import pytest

from adapters.postgres import restoration
from adapters.postgres.restoration import APPLICATION_NAME, RAISED_BY, PostgresRestoration
from application.errors import CommandRefused, DatabaseUnavailable
from domain.container_status import Desired
from tests.contracts.subjects import wait_until
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.worker import Worker

_CONNECTED = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-%'
  AND application_name <> 'orchestrator-restored'
"""


def restore(
    worker: Worker, *, force: bool = False, sleep: Callable[[float], None] = time.sleep
) -> restoration.Raised:
    return PostgresRestoration(worker.installation.url, sleep=sleep).raise_numbers(force=force)


def sequences(worker: Worker, container_id: int) -> list[int]:
    rows = worker.installation.rows(
        f"SELECT sequence FROM events WHERE stream = 'container/{container_id}' ORDER BY sequence"
    )
    return [row["sequence"] for row in rows]


def test_an_old_container_goes_on_a_million_higher(worker: Worker) -> None:
    container_id = worker.run_container()

    restore(worker)
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()

    assert sequences(worker, container_id) == [1, 2, 2 + RAISED_BY + 1]
    assert Auditor(worker).found() == []


def test_what_had_told_nothing_yet_begins_above_what_it_may_have_told(worker: Worker) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())

    restore(worker)
    worker.work()

    assert sequences(worker, container_id) == [RAISED_BY + 1, RAISED_BY + 2]
    assert Auditor(worker).found() == []


def test_no_id_of_the_lost_time_is_given_again(worker: Worker) -> None:
    before = worker.run_container()
    newest = worker.installation.rows("SELECT max(id) AS id FROM events")[0]["id"]

    raised = restore(worker)
    image_id = worker.ready_image()
    (after,) = worker.installation.create(image_id)
    worker.work()

    (first,) = worker.installation.rows(f"SELECT min(id) AS id FROM events WHERE id > {newest}")
    assert after > before + RAISED_BY
    assert image_id == raised.next_ids["images"]
    assert first["id"] == raised.next_ids["events"]
    assert sequences(worker, after) == [1, 2]
    assert Auditor(worker).found() == []


def test_a_second_backup_that_is_restored_raises_once_more(worker: Worker) -> None:
    container_id = worker.run_container()

    restore(worker)
    restore(worker)
    worker.installation.wish(container_id, Desired.DELETED)
    worker.work()

    assert sequences(worker, container_id)[2] == 2 + 2 * RAISED_BY + 1
    assert Auditor(worker).found() == []


def test_raised_twice_before_anything_is_written_no_identity_goes_back(worker: Worker) -> None:
    """Of an empty table nothing but its sequence tells what was given."""
    worker.installation.execute("ALTER TABLE outbox ALTER COLUMN id RESTART WITH 3000001")

    once = restore(worker).next_ids
    twice = restore(worker).next_ids

    assert once["outbox"] == 3_000_001 + RAISED_BY
    assert twice == {table: next_id + RAISED_BY for table, next_id in once.items()}


def test_sequences_that_were_raised_by_hand_are_a_difference(worker: Worker) -> None:
    container_id = worker.run_container()
    worker.installation.execute(f"UPDATE containers SET sequence = sequence + {RAISED_BY}")

    assert Auditor(worker).found() == [f"sequence-end stream/container/{container_id}"]


def test_the_outbox_stays(worker: Worker) -> None:
    worker.run_container()
    before = worker.installation.rows("SELECT event_id, sequence FROM outbox ORDER BY id")

    restore(worker)

    assert worker.installation.rows("SELECT event_id, sequence FROM outbox ORDER BY id") == before


@pytest.mark.parametrize("name", ["orchestrator-api", "orchestrator-relay candidate host:1"])
def test_it_is_refused_while_the_service_is_connected(worker: Worker, name: str) -> None:
    container_id = worker.run_container()
    with psycopg.connect(worker.installation.url, application_name=name):
        with pytest.raises(CommandRefused, match=name):
            restore(worker, sleep=lambda _seconds: None)
        before = worker.installation.row("containers", container_id)["sequence"]
        restore(worker, force=True)

    assert before == 2
    assert worker.installation.row("containers", container_id)["sequence"] == 2 + RAISED_BY


def test_what_was_just_stopped_is_waited_for_until_its_session_is_gone(worker: Worker) -> None:
    container_id = worker.run_container()
    stopped = psycopg.connect(worker.installation.url, application_name="orchestrator-api")
    pauses = []

    def stop(seconds: float) -> None:
        pauses.append(seconds)
        stopped.close()
        wait_until(lambda: not worker.installation.rows(_CONNECTED))

    restore(worker, sleep=stop)

    assert len(pauses) == 1
    assert worker.installation.row("containers", container_id)["sequence"] == 2 + RAISED_BY


def test_the_command_before_may_still_be_connected(worker: Worker) -> None:
    """It has ended; the server has not missed it yet."""
    container_id = worker.run_container()
    with psycopg.connect(worker.installation.url, application_name=APPLICATION_NAME):
        restore(worker)

    assert worker.installation.row("containers", container_id)["sequence"] == 2 + RAISED_BY


def test_it_waits_for_nobody_who_is_in_the_middle_of_something(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    container_id = worker.run_container()
    monkeypatch.setattr(restoration, "_LIMITS", "SELECT set_config('lock_timeout', '100ms', true)")
    with psycopg.connect(worker.installation.url) as other:
        other.execute(f"UPDATE containers SET attempts = 0 WHERE id = {container_id}".encode())

        with pytest.raises(DatabaseUnavailable, match="somebody else holds a table"):
            restore(worker, force=True)

    assert worker.installation.row("containers", container_id)["sequence"] == 2


def test_two_at_once_raise_once(worker: Worker) -> None:
    with psycopg.connect(worker.installation.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (restoration._LOCK_ID,))

        with pytest.raises(CommandRefused, match="another one"):
            restore(worker)


def test_a_failure_takes_everything_back_identities_too(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    container_id = worker.run_container()
    monkeypatch.setattr(restoration, "_RECORD", "SELECT 1/0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        restore(worker)
    (after,) = worker.installation.create(worker.ready_image())

    assert worker.installation.row("containers", container_id)["sequence"] == 2
    assert after == container_id + 1
