"""8 writers, the relay killed every few seconds, the broker restarted twice: 100,000 events.

`make test` runs a tenth of it.
"""

import random
import time

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

pytestmark = pytest.mark.broker

_EVENTS = 100_000 if LONG else 10_000
# Slow enough that the run lasts for many lives of the relay.
_PER_SECOND = 700 if LONG else 1_000
_LIFE_SECONDS = (1.0, 5.0) if LONG else (0.5, 2.0)
_BROKER_RESTARTS = 2


def test_a_relay_killed_again_and_again_and_a_broker_restarted_twice_lose_nothing(
    database: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    rng: random.Random,
    note: Note,
) -> None:
    began, kills, restarts = time.monotonic(), 0, 0
    relay = start_relay()
    with start_writers(writers=8, streams=200, events=_EVENTS, per_second=_PER_SECOND) as writers:
        while writers.committed < _EVENTS or restarts < _BROKER_RESTARTS:
            _live(relay, rng.uniform(*_LIFE_SECONDS))
            relay.kill()
            kills += 1
            due = writers.committed * (_BROKER_RESTARTS + 1) >= _EVENTS * (restarts + 1)
            if due and restarts < _BROKER_RESTARTS:
                # Once in order, once by kill -9.
                if restarts % 2:
                    mortal_broker.kill()
                mortal_broker.restart()
                restarts += 1
            relay = start_relay()

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)
    took = time.monotonic() - began

    note(
        f"{events} events by 8 writers in {took:.0f} s, relay killed {kills}x, broker restarted "
        f"{restarts}x: 0 lost, order held after dedupe, {consumer.duplicates} duplicates"
    )
    assert events == _EVENTS
    assert restarts == _BROKER_RESTARTS


def _live(relay: RelayUnderTest, seconds: float) -> None:
    """Let the relay lead for a while; how long was drawn from the run's seed."""
    relay.wait_for("leading")
    dies_at = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= dies_at, "its time is over", seconds + 30)
