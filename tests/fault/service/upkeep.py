"""What is done for the service itself: commands of operators, and what workers tell of themselves.

Rows of the same table, but for the kills on a real engine: nothing of it asks an engine for
anything that other operations do not. A command that was cut short is given again, as an operator
does who was not told that it is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from adapters.postgres.lost_engines import PostgresLostEngines
from adapters.postgres.presence import MISSED_AFTER_SECONDS
from adapters.postgres.quarantine import PostgresQuarantine
from adapters.postgres.restoration import APPLICATION_NAME, PostgresRestoration
from application.declare_engine_lost import DeclareEngineLost, DeclareEngineLostHandler
from application.errors import CommandRefused
from domain.container_status import Desired
from tests.contracts.subjects import wait_until
from tests.fault.service import preparations, requests
from tests.fault.service.ends import DELETED, READY, REBUILT, RUNS, STOPPED, End
from tests.fault.service.operations import OPERATIONS, Driven, Operation
from tests.integration.postgres.installation import utc_now
from tests.integration.worker.worker import Worker

REASON = "burnt"

_RESTORING = f"SELECT FROM pg_stat_activity WHERE application_name = '{APPLICATION_NAME}'"
_UNREACHED = "UPDATE engines SET reached_at = now() - interval '1 hour' WHERE engine_id = '{}'"
_HOLDING = """
SELECT DISTINCT engine_id FROM containers WHERE status NOT IN ('failed', 'deleted')
"""


# ---- preparations --------------------------------------------------------------------------


def on_a_lost_engine(worker: Worker) -> int:
    """What ran was on an engine that nobody reaches any more; another one is there."""
    container_id = worker.run_container()
    worker.installation.execute(_UNREACHED.format(worker.engine_id))
    worker.docker.another_engine()
    return container_id


def in_quarantine(worker: Worker) -> int:
    """A container was removed behind our back, and of its engine nothing is told."""
    container_id = worker.run_container()
    worker.docker.remove(worker.docker_id(container_id))
    worker.census.quarantine(worker.engine_id, "too much is missing")
    return container_id


def held_by_a_dead_worker(worker: Worker) -> int:
    """A stop is in the hands of a worker that has been silent for long enough."""
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.claim()
    worker.installation.execute(
        "INSERT INTO workers (worker_id, joined_at, seen_at)"
        " SELECT leased_by, now() - interval '1 hour',"
        f" clock_timestamp() - interval '{MISSED_AFTER_SECONDS} s'"
        f" FROM containers WHERE id = {container_id}"
    )
    return container_id


# ---- given again ---------------------------------------------------------------------------


def declare_lost(worker: Worker) -> None:
    installation = worker.installation
    handler = DeclareEngineLostHandler(
        installation.transactions,
        PostgresLostEngines(installation.pool),
        installation.store,
        utc_now,
    )
    for row in installation.rows(_HOLDING):
        if row["engine_id"] != worker.engine_id:
            list(handler.handle(DeclareEngineLost(row["engine_id"], REASON)))


def trust(worker: Worker) -> None:
    with contextlib.suppress(CommandRefused):
        PostgresQuarantine(worker.installation.pool).trust(worker.engine_id)


def raise_numbers(worker: Worker) -> None:
    # The one that was killed is refused company until the database has missed it.
    wait_until(lambda: not worker.installation.rows(_RESTORING))
    PostgresRestoration(worker.installation.url).raise_numbers(force=True)


GIVEN_AGAIN: Mapping[str, Callable[[Worker], None]] = {
    "lost": declare_lost,
    "trust": trust,
    "restored": raise_numbers,
}

_UPKEEP: Mapping[str, Operation] = {
    "lost": Operation(
        None, on_a_lost_engine, requests.nothing, Driven.LOST,
        done=End(REBUILT, (DELETED,)),
    ),
    "restored": Operation(
        None, preparations.running, requests.nothing, Driven.RESTORED,
        done=End(READY, (RUNS,)),
    ),
    "trust": Operation(
        None, in_quarantine, requests.nothing, Driven.TRUST,
        done=End(READY, (DELETED,)),
    ),
    "register": Operation(
        None, preparations.running, requests.nothing, Driven.REGISTERS,
        done=End(READY, (RUNS,)),
    ),
    "miss": Operation(
        None, held_by_a_dead_worker, requests.nothing, Driven.MISSES,
        done=End(READY, (STOPPED,)),
    ),
}  # fmt: skip

ALL_OPERATIONS: Mapping[str, Operation] = {**OPERATIONS, **_UPKEEP}
