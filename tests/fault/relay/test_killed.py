"""kill -9 at every step between the outbox and its empty state, and at any moment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.integration.relay.harness import count

_TURN = 4


@pytest.mark.parametrize(
    "failpoint", ["before-fetch", "after-fetch", "mid-produce", "after-acks", "after-delete"]
)
def test_a_relay_killed_there_under_load_loses_nothing(
    failpoint: str,
    database: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    with start_writers() as writers:
        killed = start_relay(RELAY_FAILPOINTS=f"{failpoint}=kill@{_TURN}", RELAY_BATCH_SIZE="50")
        killed.wait_until_killed()
        writers.wait_for_more(200)
        start_relay()
        writers.wait_for_more(200)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, 0 lost, {consumer.duplicates} duplicates")


def test_what_was_acknowledged_and_not_deleted_is_sent_twice_and_applied_once(
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    with start_writers(events=300) as writers:
        writers.wait_until_ended()
    killed = start_relay(RELAY_FAILPOINTS="after-acks=kill", RELAY_BATCH_SIZE="50")
    killed.wait_until_killed()
    consumer.wait_for(1, RECOVERY_SECONDS)
    left = count(database, "outbox")

    start_relay()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert left == 300
    assert consumer.duplicates > 0


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
