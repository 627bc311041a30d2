"""kill -9 at every step between the outbox and its empty state, and at any moment."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from entrypoints.dev.kafka import Broker
from relay.failpoints import Failpoint
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.mid_batch import start_in_mid_batch
from tests.fault.relay.recording import prepare_streams, write_many
from tests.fault.relay.topics import create_topic
from tests.integration.relay.harness import wait_until

# Streams beyond those of the writers, and of each more than one event: a backlog of many batches,
# of which the first ones have one event a stream.
_STREAMS, _FIRST = 400, 1_001
_BATCH = 50
_TURN = 4


@pytest.mark.parametrize(
    ("failpoint", "turn"),
    # The first time nothing was sent before, so it can be seen that nothing was.
    [(Failpoint.AFTER_FETCH, 1), *((failpoint, _TURN) for failpoint in Failpoint)],
)
def test_a_relay_killed_there_under_load_loses_nothing(
    failpoint: Failpoint,
    turn: int,
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic)
    prepare_streams(database, _STREAMS, first=_FIRST)
    write_many(database, topic, _STREAMS, 2, first=_FIRST)
    backlog = _pending(database)
    with start_writers() as writers:
        killed = start_relay(
            RELAY_FAILPOINTS=f"{failpoint}=kill@{turn}", RELAY_BATCH_SIZE=str(_BATCH)
        )
        killed.wait_until_killed()
        left = _pending(database) & backlog
        _expect_state(failpoint, turn, backlog, left)
        _expect_kafka(failpoint, turn, backlog, left, consumer)
        writers.wait_for_more(200)
        start_relay()
        writers.wait_for_more(200)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, 0 lost, {consumer.duplicates} duplicates")
    assert consumer.duplicates > 0 or failpoint is not Failpoint.AFTER_ACKS


def test_a_relay_killed_with_a_batch_on_its_way_and_half_of_the_next_handed_over_loses_nothing(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    killed = start_in_mid_batch("kill", start_relay, database, topic, mortal_broker, gates)
    killed.wait_until_killed()
    held, pending, arrived = gates.held, len(_pending(database)), consumer.applied
    gates.open_for_requests()
    gates.open_for_answers()

    start_relay()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert held > 0
    assert (pending, arrived) == (events, 0)


def test_an_unknown_failpoint_is_one_line_and_exit_code_2(mortal_broker: Broker) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "relay"],
        cwd=Path(__file__).parents[3],
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "KAFKA_BOOTSTRAP_SERVERS": mortal_broker.bootstrap_servers,
            "RELAY_FAILPOINTS": "before-lunch=kill",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("relay: RELAY_FAILPOINTS: ")
    assert len(ended.stderr.splitlines()) == 1


def _expect_state(failpoint: Failpoint, turn: int, backlog: set[str], left: set[str]) -> None:
    """Hold that no more is gone from a backlog than the turns before can have deleted."""
    if failpoint in (Failpoint.BEFORE_FETCH, Failpoint.AFTER_FETCH, Failpoint.MID_PRODUCE):
        assert len(left) >= len(backlog) - (turn - 1) * _BATCH


def _expect_kafka(
    failpoint: Failpoint,
    turn: int,
    backlog: set[str],
    left: set[str],
    consumer: FollowingConsumer,
) -> None:
    """Hold that a relay with a backlog died with that in Kafka that the failpoint is named for."""
    match failpoint:
        case Failpoint.AFTER_FETCH if turn == 1:
            consumer.catch_up(RECOVERY_SECONDS)
            assert (consumer.applied, left) == (0, backlog)
        case Failpoint.AFTER_ACKS:
            wait_until(
                lambda: any(map(consumer.has_applied, left)), "what is pending is in Kafka too"
            )
        case Failpoint.AFTER_DELETE:
            gone = backlog - left
            assert gone
            wait_until(lambda: all(map(consumer.has_applied, gone)), "what is gone is in Kafka")
        case _:
            pass


def _pending(database: str) -> set[str]:
    with psycopg.connect(database) as reader:
        return {id_ for (id_,) in reader.execute("SELECT event_id::text FROM outbox")}
