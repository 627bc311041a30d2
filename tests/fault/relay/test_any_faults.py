"""Concurrent writers, and whatever faults Hypothesis thinks of, in any order and at any moment."""

import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from entrypoints.dev.kafka import Broker
from entrypoints.dev.postgres import Postgres
from migrations.runner import migrate
from tests.fault.conftest import Note
from tests.fault.histories import live_through
from tests.fault.lengths import LONG
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.fault_machine import FaultMachine, Stage

pytestmark = pytest.mark.broker

_EXAMPLES = int(os.environ.get("FAULT_EXAMPLES") or (30 if LONG else 3))
_STEPS = 30 if LONG else 10
# A crash may cost no commit that was answered: only then is the ledger what was written.
_KEEP_WHAT_IS_COMMITTED = "ALTER DATABASE {} SET synchronous_commit = on"


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that the machine may restart and crash."""
    with Postgres() as server:
        yield server


def test_whatever_dies_in_whatever_order_nothing_is_lost(
    own_postgres: Postgres,
    mortal_broker: Broker,
    start_relay: StartRelay,
    run_seed: int,
    rng: random.Random,
    note: Note,
) -> None:
    def new_database() -> str:
        name = f"faults_{uuid.uuid4().hex[:12]}"
        url = own_postgres.create_database(name)
        migrate(url)
        with psycopg.connect(url) as owner:
            owner.execute(sql.SQL(_KEEP_WHAT_IS_COMMITTED).format(sql.Identifier(name)))
        return url

    stage = Stage(mortal_broker, own_postgres, new_database, start_relay, rng)

    live_through(lambda: FaultMachine(stage), run_seed, examples=_EXAMPLES, steps=_STEPS)

    told = ", ".join(f"{name} {times}x" for name, times in Counter(stage.faults).items())
    note(
        f"{stage.examples} examples ({told}): {stage.events} events, 0 lost, "
        f"{stage.duplicates} duplicates"
    )
