"""SIGTERM under load ends the relay in 5 s however slow the broker is, and loses nothing."""

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.slow_proxy import SlowProxy
from tests.fault.relay.sockets import freeze_with_messages_in_flight
from tests.integration.relay.harness import count, wait_until

pytestmark = pytest.mark.broker

_END_SECONDS = 5.0
# A batch of 500 takes more than 10 s.
_SLOW_BYTES_PER_SECOND = 20_000.0


def test_sigterm_with_a_broker_that_takes_bytes_slowly(
    database: str,
    proxy: SlowProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=proxy.address)
    wait_until(relay.ready, "the relay is ready")
    proxy.bytes_per_second = _SLOW_BYTES_PER_SECOND
    try:
        with start_writers() as writers:
            writers.wait_for_more(1_000)
            code, seconds = relay.terminate()
            left = count(database, "outbox")
    finally:
        proxy.bytes_per_second = None

    start_relay()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"ended in {seconds:.1f} s with {left} of {events} pending")
    assert (code, seconds < _END_SECONDS, left > 0) == (0, True, True), (code, seconds, left)


def test_sigterm_with_messages_in_flight_to_a_broker_that_hangs(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    relay = start_relay()
    with start_writers(events=200) as writers:
        writers.wait_until_ended()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    freeze_with_messages_in_flight(mortal_broker, database, topic)
    with start_writers() as writers:
        writers.wait_for_more(500)
        code, seconds = relay.terminate()
        mortal_broker.thaw()

    start_relay()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"ended in {seconds:.1f} s; {events} events, {consumer.duplicates} duplicates")
    assert (code, seconds < _END_SECONDS) == (0, True), (code, seconds)


def test_sigterm_under_load_with_a_quick_broker_repeats_nothing(
    database: str, consumer: FollowingConsumer, start_relay: StartRelay, start_writers: StartWriters
) -> None:
    relay = start_relay(RELAY_FLUSH_SECONDS="3")
    with start_writers() as writers:
        consumer.wait_for(500, RECOVERY_SECONDS)
        code, seconds = relay.terminate()
        start_relay()
        writers.wait_for_more(500)

    consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert (code, seconds < _END_SECONDS) == (0, True), (code, seconds)
    # What was acknowledged was deleted before the end; quick is who answers in those 3 s.
    assert consumer.duplicates == 0
