"""A standby takes over from a leader that is dead, and from one that hangs with its session open.

The bounds are the promise: 5 s after kill -9, 15 s after SIGSTOP. What a leader that hung sends
when it goes on is a duplicate, which consumers drop by its sequence.
"""

import time

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.mid_batch import start_in_mid_batch
from tests.fault.relay.sockets import freeze_with_messages_in_flight
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

pytestmark = pytest.mark.broker

_AFTER_KILL_SECONDS = 5.0
_AFTER_HANG_SECONDS = 15.0


def start_two(start_relay: StartRelay, **of_the_leader: str) -> tuple[RelayUnderTest, ...]:
    leader = start_relay(**of_the_leader)
    leader.wait_for("leading")
    standby = start_relay()
    standby.wait_for("standing by")
    return leader, standby


def test_a_killed_leader_is_followed_within_five_seconds(
    database: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    leader, standby = start_two(start_relay)
    with start_writers() as writers:
        consumer.wait_for(100, RECOVERY_SECONDS)

        killed_at, before = time.monotonic(), consumer.applied
        leader.kill()
        standby.wait_for("leading")
        took_over = time.monotonic() - killed_at
        consumer.wait_for(before + 500, RECOVERY_SECONDS)
        resumed = time.monotonic() - killed_at
        writers.stop()
        events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(
        f"take-over {took_over:.2f} s after kill -9 (at most {_AFTER_KILL_SECONDS:g}), 500 events "
        f"later at {resumed:.2f} s; {events} events, {consumer.duplicates} duplicates"
    )
    assert took_over < _AFTER_KILL_SECONDS


@pytest.mark.parametrize("under_load", [True, False], ids=["under-load", "idle"])
def test_a_leader_that_hangs_is_followed_within_fifteen_seconds(
    under_load: bool,  # noqa: FBT001 - a parameter of the test
    database: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    leader, standby = start_two(start_relay)
    with start_writers() as writers:
        consumer.wait_for(100, RECOVERY_SECONDS)
        if not under_load:
            writers.stop()
            consumer.expect_ledger(database, RECOVERY_SECONDS)

        paused_at = time.monotonic()
        leader.pause()
        standby.wait_for("leading")
        took_over = time.monotonic() - paused_at
        standby.wait_for("ended the session of a leader that hung")
        leader.resume()
        leader.wait_for("session lost")
        leader.wait_for("standing by")
        writers.stop()
        events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(
        f"take-over {took_over:.2f} s after SIGSTOP (at most {_AFTER_HANG_SECONDS:g}); "
        f"{events} events, {consumer.duplicates} duplicates"
    )
    assert took_over < _AFTER_HANG_SECONDS
    assert (leader.metric("relay_leader"), standby.metric("relay_leader")) == (0, 1)


def test_a_zombie_with_messages_in_flight_only_repeats_what_is_dropped(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    zombie, heir = start_two(start_relay)
    with start_writers(events=500) as writers:
        writers.wait_until_ended()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    freeze_with_messages_in_flight(mortal_broker, database, topic)
    with start_writers(events=4_500) as writers:
        zombie.pause()
        heir.wait_for("leading")

        # What the zombie sent arrives only now, and its heir sends the same rows.
        applied = consumer.applied
        mortal_broker.thaw()
        consumer.wait_for(applied + 1, RECOVERY_SECONDS)
        zombie.resume()
        zombie.wait_for("session lost")
        zombie.wait_for("standing by")
        writers.wait_until_ended()

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, {consumer.duplicates} duplicates of a zombie")
    assert consumer.duplicates > 0


def test_a_zombie_that_wakes_up_in_the_middle_of_a_batch_only_repeats_what_is_dropped(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    """One batch of it is on its way, of the next one half was handed over and half was not."""
    zombie = start_in_mid_batch("hang", start_relay, database, topic, mortal_broker, gates)
    wait_until(lambda: zombie.paused, "the leader hangs with half a batch handed over")
    start_relay().wait_for("leading")
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    before = consumer.duplicates
    gates.open_for_requests()
    wait_until(lambda: consumer.duplicates > before, "what it had sent arrives")
    gates.open_for_answers()
    zombie.resume()
    zombie.wait_for("session lost")
    zombie.wait_for("standing by")
    with start_writers(events=200) as writers:
        writers.wait_until_ended()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, {consumer.duplicates} duplicates of a zombie")
    assert before == 0
