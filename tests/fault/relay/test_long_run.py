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

pytestmark = pytest.mark.broker

_EVENTS = 100_000 if LONG else 10_000
# Slow enough that the run lasts for many lives of the relay.
_PER_SECOND = 700 if LONG else 1_000
# How many events more than those that wait for it a relay lives for: at that pace, some seconds.
_LIFE_EVENTS = (700, 3_500) if LONG else (200, 1_000)
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
            relay.wait_for("leading")
            dies_at = min(writers.committed + rng.randint(*_LIFE_EVENTS), _EVENTS)
            consumer.wait_for(dies_at, RECOVERY_SECONDS)
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
