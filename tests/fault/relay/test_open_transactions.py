"""A transaction stays open while thousands of others commit: they do not wait for it.

Only the horizon does, and only for a transaction that may still add to the ledger.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from tests.fault.conftest import Note
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.costs import (
    cost_of_a_trickle,
    let_it_look_below,
    require_counts_of_sessions,
)
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import horizon, newest_id, wait_until_published
from tests.fault.relay.recording import prepare_streams, raise_and_record, writing_session
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_OTHERS = 10_000
# The main case alone gets all of them where time is short.
_FEWER_OTHERS = _OTHERS if LONG else 2_000
_STREAMS = 40
_HELD, _TOUCHED, _TRICKLE = _STREAMS + 1, _STREAMS + 2, _STREAMS + 3
_MOST_BUFFERS = 150
# Beside it stand the ids of which it is not known whether they will ever commit: those of the open
# transaction, and those rolled back since. Each is looked up by itself, up to a bound.
_MOST_BUFFERS_BESIDE_A_WRITER = 500
# An event's way to its acknowledgement beside the open transaction: what a busy machine doubles,
# and what it adds if it got busy since the measure was taken.
_MOST_TIMES, _NOISE_SECONDS = 3, 0.1

_TAKE_AN_ID = "SELECT pg_current_xact_id()"
_LOCK_ANOTHER_ROW = "UPDATE aggregates SET sequence = sequence WHERE id = %(id)s"


def test_a_writer_that_holds_its_event_back_holds_up_nobody(
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    require_counts_of_sessions(database)
    prepare_streams(database, _TRICKLE)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    alone = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
    with writing_session(database) as slow:
        held = raise_and_record(slow, topic, _HELD, 3)
        with start_writers(events=_OTHERS, streams=_STREAMS, at_once=1) as writers:
            writers.wait_until_ended(RECOVERY_SECONDS)
        wait_until_published(database, RECOVERY_SECONDS)
        let_it_look_below(database, relay)
        cost = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
        kept_back = newest_id(database) - horizon(database)

        slow.commit()
        events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    wait_until(lambda: horizon(database) >= newest_id(database), "the horizon catches up")
    note(f"{alone}; {_OTHERS} commits beside an open writer, then {cost}; {events} events, 0 lost")
    assert consumer.last_of(held[0].stream) == 3
    assert kept_back >= _OTHERS
    assert cost.buffers < _MOST_BUFFERS_BESIDE_A_WRITER
    assert cost.seconds < _MOST_TIMES * alone.seconds + _NOISE_SECONDS


@contextmanager
def a_transaction_without_events(database: str, _other: str) -> Iterator[None]:
    with psycopg.connect(database) as holder:
        holder.execute(_TAKE_AN_ID)
        holder.execute(_LOCK_ANOTHER_ROW, {"id": _TOUCHED})
        yield


@contextmanager
def a_transaction_in_another_database(_database: str, other: str) -> Iterator[None]:
    prepare_streams(other, 1)
    with writing_session(other) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        raise_and_record(holder, "elsewhere", 1)
        yield


@pytest.mark.parametrize(
    "held_open", [a_transaction_without_events, a_transaction_in_another_database]
)
def test_a_transaction_that_adds_no_event_here_does_not_even_hold_up_the_horizon(
    held_open: Callable[[str, str], AbstractContextManager[None]],
    database: str,
    new_database: Callable[[], str],
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    require_counts_of_sessions(database)
    prepare_streams(database, _TRICKLE)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    alone = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
    with held_open(database, new_database()):
        with start_writers(events=_FEWER_OTHERS, streams=_STREAMS, at_once=1) as writers:
            writers.wait_until_ended(RECOVERY_SECONDS)
        # As it does every 30 s: not amid what is counted.
        let_it_look_below(database, relay)
        cost = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
        events = consumer.expect_ledger(database, RECOVERY_SECONDS)
        wait_until(lambda: horizon(database) >= newest_id(database), "the horizon is not held up")

    note(f"{alone}; {_FEWER_OTHERS} commits beside one open, then {cost}; {events} events")
    assert cost.buffers < _MOST_BUFFERS
    assert cost.seconds < _MOST_TIMES * alone.seconds + _NOISE_SECONDS
