"""Clocks go backwards: the service's, the relay's and the database's. Sequences do not."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres.claims import Claimant
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.wire.events import EventEncoder
from domain.container_status import Desired
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, raise_and_record, writing_session
from tests.integration.postgres.installation import LEASE_SECONDS, Installation
from tests.integration.postgres.observations import ended, seen
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_STREAMS = 5
_EVENTS = 40
_RUNS = 12
_SET_BACK_BY = timedelta(days=400)
# Longer than a leader may show no sign of life before a standby ends its session.
_OBSERVED_SECONDS = 12
_PER_SECOND = 100

# The newest events are from the future, as the database sees it once its clock was set back.
_SET_BACK = """
UPDATE events SET recorded_at = recorded_at + interval '1 day' - sequence * interval '1 minute'
"""
_TOLD_TIMES = """
SELECT container_id, occurred_at FROM events
WHERE container_id IS NOT NULL
ORDER BY container_id, sequence
"""

# What Python imports by itself before anything else: with it each clock that tells the time of day
# is late from the moment on at which the file beside it exists. The monotonic ones are not.
_LATE_CLOCKS = f"""
import datetime, os, time

_told, _told_ns, _datetime = time.time, time.time_ns, datetime.datetime

def _late():
    there = os.path.exists(os.path.join(os.path.dirname(__file__), "set-back"))
    return {_SET_BACK_BY.days * 86_400} if there else 0

class _Datetime(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)

time.time = lambda: _told() - _late()
time.time_ns = lambda: _told_ns() - _late() * 10**9
datetime.datetime = _Datetime
"""


class Backwards:
    """A clock that is set back by a minute each time somebody looks at it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        self._now -= timedelta(minutes=1)
        return self._now


def test_a_service_whose_clock_is_set_back_keeps_the_order_of_its_sequences(
    database: str,
    topic: str,
    tmp_path: Path,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    """Api, workers and engine have the same bad clock; the times they tell never go back."""
    start_relay(RELAY_BATCH_SIZE="20")
    clock = Backwards()

    with Installation(database, tmp_path) as service:
        service.clock = clock
        service.transactions = _recording_to(topic, service, clock)
        containers = service.create(service.ready_image(maximum=3), count=3)
        for _ in range(_RUNS):
            _live_through_a_run(service, containers, clock)
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    with psycopg.connect(database) as reader:
        told = reader.execute(_TOLD_TIMES).fetchall()
    # Every run has a start and an end; the containers' creations and their image come on top.
    assert events >= len(containers) * 2 * _RUNS
    assert told == sorted(told)


def test_a_relay_whose_clock_is_set_back_leads_on_and_measures_no_nonsense(
    database: str,
    topic: str,
    tmp_path: Path,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    """Leadership, signs of life and latencies rest on clocks that nobody sets."""
    (tmp_path / "sitecustomize.py").write_text(_LATE_CLOCKS)
    began = datetime.now(UTC)
    leader = start_relay(PYTHONPATH=str(tmp_path))
    leader.wait_for("leading")
    standby = start_relay(PYTHONPATH=str(tmp_path))
    standby.wait_for("standing by")

    with start_writers(per_second=_PER_SECOND) as writers:
        consumer.wait_for(100, RECOVERY_SECONDS)
        (tmp_path / "set-back").touch()
        # At the writers' pace; nobody takes over meanwhile, and nothing is late.
        consumer.wait_for(consumer.applied + _OBSERVED_SECONDS * _PER_SECOND, RECOVERY_SECONDS)
        led = [each.metric("relay_leader") for each in (leader, standby)]
        takeovers = leader.metric("relay_takeovers_total")
        seen_events = leader.metric("relay_commit_to_ack_seconds_count")
        mean = leader.metric("relay_commit_to_ack_seconds_sum") / seen_events
        leader.terminate()
        stopped_at = time.monotonic()
        standby.wait_for("leading")
        took_over = time.monotonic() - stopped_at
        writers.stop()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"commit to ack {1_000 * mean:.1f} ms on average, take-over {took_over:.2f} s")
    # It was late indeed.
    ended_at = leader.wait_for("relay ended")["timestamp"]
    assert datetime.fromisoformat(ended_at) < began - _SET_BACK_BY / 2
    assert led == [1, 0]
    assert takeovers == 1
    assert "ended the session of a leader that hung" not in {
        line["event"] for line in standby.lines
    }
    assert 0 <= mean < 5
    assert took_over < 5


def test_a_database_whose_clock_is_set_back_keeps_the_order_of_its_sequences(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    prepare_streams(database, _STREAMS)
    with writing_session(database) as writer:
        for _ in range(_EVENTS):
            for aggregate in range(1, _STREAMS + 1):
                raise_and_record(writer, topic, aggregate)
            writer.commit()
        writer.execute(_SET_BACK)

    relay = start_relay(RELAY_BATCH_SIZE="20")
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    wait_until(lambda: relay.metric("relay_published_events_total") == events, "all are counted")
    assert events == _STREAMS * _EVENTS
    assert relay.metric("relay_commit_to_ack_seconds_count") == events
    assert relay.metric("relay_commit_to_ack_seconds_sum") >= 0
    assert relay.metric("relay_oldest_pending_age_seconds") >= 0
    wait_until(relay.ready, "the relay is ready")


def _recording_to(
    topic: str, service: Installation, clock: Callable[[], datetime]
) -> PostgresTransactionRunner:
    """Return the service's own transactions, with the test's topic and ids of the bad clock."""

    def new_event_id() -> UUID:
        milliseconds = int(1_000 * clock().timestamp())
        return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | secrets.randbits(62))

    return PostgresTransactionRunner(
        service.pool,
        EventEncoder(topic, topic, "/orchestrator/test"),
        new_event_id,
        service.signals.append,
        Claimant(uuid4(), seconds=LEASE_SECONDS),
    )


def _live_through_a_run(
    service: Installation, containers: list[int], clock: Callable[[], datetime]
) -> None:
    """Let each container be started and stopped, by an engine with the same clock."""
    for container_id in containers:
        service.wish(container_id, Desired.RUNNING)
    for lease in service.claim():
        service.outcomes(lease).running(seen(lease.id, started_at=(started := clock())))
    for container_id in containers:
        service.wish(container_id, Desired.STOPPED)
    for lease in service.claim():
        gone = replace(ended(lease.id), started_at=started, finished_at=clock())
        service.outcomes(lease).stopped(gone)
