"""Concurrent writers, and whatever faults Hypothesis thinks of, in any order and at any moment."""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import LONG
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.fault_machine import FaultMachine, Stage

pytestmark = pytest.mark.broker

_EXAMPLES = int(os.environ.get("FAULT_EXAMPLES") or (30 if LONG else 4))
_STEPS = 30 if LONG else 10


def test_whatever_dies_in_whatever_order_nothing_is_lost(
    new_database: Callable[[], str],
    mortal_broker: Broker,
    start_relay: StartRelay,
    run_seed: int,
    rng: random.Random,
    note: Note,
) -> None:
    stage = Stage(mortal_broker, new_database, start_relay, rng)

    @seed(run_seed)
    def new_machine() -> FaultMachine:
        return FaultMachine(stage)

    run_state_machine_as_test(
        new_machine,  # type: ignore[arg-type]  # "a class or a function", says its docstring
        settings=settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            derandomize=False,
            # Real processes: an example takes seconds, and one that failed is not made smaller.
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )

    told = ", ".join(f"{name} {times}x" for name, times in Counter(stage.faults).items())
    note(
        f"{stage.examples} examples ({told}): {stage.events} events, 0 lost, "
        f"{stage.duplicates} duplicates"
    )
