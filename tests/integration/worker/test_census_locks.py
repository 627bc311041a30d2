"""What a pass notes gets along with whatever else locks the same containers."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest

from application.drift import Drift
from tests.integration.worker.worker import Worker

_WAITING = """
SELECT FROM pg_stat_activity
WHERE application_name = 'under-test' AND datname = current_database() AND wait_event_type = 'Lock'
"""
_TAKE = "SELECT FROM containers WHERE id = %s FOR NO KEY UPDATE"
# Refused if it is held: whoever waits for the lower id must not have the higher one yet.
_NOWAIT = " NOWAIT"


@pytest.fixture
def two_containers(worker: Worker) -> tuple[int, int]:
    first, second = worker.installation.create(worker.ready_image(), 2)
    worker.work()
    return first, second


@contextmanager
def meeting(worker: Worker, held: int, write: Callable[[], object]) -> Iterator[psycopg.Connection]:
    """Hold a row in a transaction until a writer waits for it; at the end the writer is done."""
    with (
        psycopg.connect(worker.installation.url) as beside,
        ThreadPoolExecutor(1) as pool,
    ):
        # Whoever finds the deadlock gives way: it is to be the other side.
        beside.execute("SET LOCAL deadlock_timeout = '60s'")
        beside.execute(_TAKE, [held])
        writing = pool.submit(write)
        wait_until_waiting(worker, 1)
        yield beside
        beside.commit()
        writing.result(20)


def wait_until_waiting(worker: Worker, number: int) -> None:
    """Wait until so many sessions wait for a row."""
    with psycopg.connect(worker.installation.url, autocommit=True) as watching:
        deadline = time.monotonic() + 20
        while len(watching.execute(_WAITING).fetchall()) < number:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def drift(*, running: int, nominated: int) -> Drift:
    return Drift([nominated], [], [], [running], [], None)


def is_nominated(worker: Worker, container_id: int) -> bool:
    return worker.installation.row("containers", container_id)["nominated_at"] is not None


def test_a_pass_locks_containers_ascending_whatever_it_notes_of_them(
    worker: Worker, two_containers: tuple[int, int]
) -> None:
    first, second = two_containers
    noted = drift(running=second, nominated=first)

    with meeting(worker, first, lambda: worker.census.note(worker.engine_id, noted, 0.0)) as beside:
        beside.execute(_TAKE + _NOWAIT, [second])

    assert is_nominated(worker, first)


def test_a_sign_of_the_engine_locks_containers_ascending(
    worker: Worker, two_containers: tuple[int, int]
) -> None:
    first, second = two_containers
    # The one with the higher id lies before the other, and a plan of its own would lock it first.
    for statement in (
        "CREATE INDEX descending ON containers ((-id))",
        "CLUSTER containers USING descending",
        "DROP INDEX descending",
    ):
        worker.installation.execute(statement)
    uids = [worker.installation.row("containers", id_)["uid"] for id_ in (second, first)]

    with meeting(worker, first, lambda: worker.census.nominate(uids)) as beside:
        beside.execute(_TAKE + _NOWAIT, [second])

    assert is_nominated(worker, first)
    assert is_nominated(worker, second)


def test_a_pass_that_loses_against_another_notes_it_again(
    worker: Worker, two_containers: tuple[int, int]
) -> None:
    first, second = two_containers
    noted = drift(running=first, nominated=second)
    note = partial(worker.census.note, worker.engine_id, noted, 0.0)

    # A deadlock is looked for once, soon after a wait began. For the pass to be who finds it, the
    # other side has to wait already when the pass gets its first lock.
    with (
        psycopg.connect(worker.installation.url, application_name="under-test") as other,
        meeting(worker, first, note) as beside,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("SET LOCAL deadlock_timeout = '60s'")
        other.execute(_TAKE, [second])
        taking = pool.submit(other.execute, _TAKE, [first])
        wait_until_waiting(worker, 2)
        beside.commit()
        taking.result(20)
        other.commit()

    assert is_nominated(worker, second)
