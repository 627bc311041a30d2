"""A broker that answers everything but what is produced, or not one message alone.

No other message waits for that, and a new client is tried in the end.
"""

import psycopg
import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import LONG, PROMPTLY_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.recording import (
    prepare_streams,
    raise_and_record,
    write,
    write_many,
    writing_session,
)
from tests.fault.relay.slow_proxy import SlowProxy
from tests.fault.relay.topics import create_topic, limit_messages
from tests.integration.relay.command_harness import run_command
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

_STREAMS = 100
# The client is given up after 30 s.
_GIVEN_UP_SECONDS = 60.0
_SUSPECTS = 20
# Beyond those of the writers.
_HELD = 900
# What is too large for its topic takes 6 s.
_SLOW_BYTES_PER_SECOND = 25_000.0


@pytest.mark.skipif(not LONG, reason="make fault-long: a client is given up after half a minute")
def test_a_client_that_never_hears_of_its_messages_is_given_up_for_a_new_one(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic)
    prepare_streams(database, _STREAMS)
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=gates.address)
    wait_until(relay.ready, "the relay is ready")
    gates.hold()
    write_many(database, topic, _STREAMS, 2)

    paused = relay.wait_for("publishing paused", seconds=_GIVEN_UP_SECONDS)
    held = gates.held
    gates.open_for_requests()
    gates.open_for_answers()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert held > 0
    assert "_TIMED_OUT" in paused["error"]
    wait_until(relay.ready, "the relay is ready again")
    note(f"{events} events, {consumer.duplicates} duplicates")


def test_no_suspect_waits_for_one_that_is_given_no_answer_and_no_other_stream_does(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=1_000)
    prepare_streams(database, _SUSPECTS + 1)
    with writing_session(database) as writer:
        [held] = raise_and_record(writer, topic, 1, padding=3_000)
        for aggregate in range(2, _SUSPECTS + 1):
            raise_and_record(writer, topic, aggregate, padding=3_000)
    # It is refused with its batch, and one by one.
    gates.hold_what_holds(held.event_id.encode(), after=2)

    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=gates.address)
    wait_until(lambda: _blocked(relay) == _SUSPECTS - 1, "all others are blocked")
    relay.wait_for("suspect gave no sign")
    wait_until(lambda: not relay.ready(), "readiness shows it")
    unready = relay.get("/readyz")[1]
    write(database, topic, _SUSPECTS + 1)
    consumer.wait_for(1, PROMPTLY_SECONDS)
    before = _blocked(relay)
    gates.open_for_requests()
    wait_until(lambda: _blocked(relay) == _SUSPECTS, "the last one is blocked")
    wait_until(relay.ready, "the relay is ready again")
    limit_messages(mortal_broker, topic, 1_000_000)
    with psycopg.connect(database) as operator:
        operator.execute("DELETE FROM blocked_streams")
    consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert before == _SUSPECTS - 1
    assert '"publishing":"events sent alone are neither acknowledged nor refused: 1"' in unready


@pytest.mark.skipif(not LONG, reason="make fault-long: it takes half a minute on so slow a line")
def test_what_is_too_large_is_blocked_however_slowly_it_is_refused(
    database: str,
    topic: str,
    mortal_broker: Broker,
    proxy: SlowProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=100_000)
    prepare_streams(database, 1)
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=proxy.address)
    wait_until(relay.ready, "the relay is ready")
    proxy.bytes_per_second = _SLOW_BYTES_PER_SECOND
    try:
        write(database, topic, 1, padding=150_000)
        line = relay.wait_for("stream blocked", seconds=RECOVERY_SECONDS)
    finally:
        proxy.bytes_per_second = None
    limit_messages(mortal_broker, topic, 1_000_000)
    run_command("release", "container/1", database=database)
    consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert line["code"] == "MSG_SIZE_TOO_LARGE"


@pytest.mark.skipif(not LONG, reason="make fault-long: a client is given up after half a minute")
def test_a_client_that_never_hears_of_one_message_is_given_up_though_it_hears_of_others(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic)
    prepare_streams(database, 1, first=_HELD)
    relay = start_relay(KAFKA_BOOTSTRAP_SERVERS=gates.address)
    wait_until(relay.ready, "the relay is ready")
    with writing_session(database) as writer:
        [held] = raise_and_record(writer, topic, _HELD)
        gates.hold_what_holds(held.event_id.encode())
    wait_until(lambda: gates.held, "it is held")

    with start_writers(per_second=5) as writers:
        stalled = relay.wait_for("publishing stalled", seconds=_GIVEN_UP_SECONDS)
        wait_until(lambda: not relay.ready(), "readiness shows it")
        paused = relay.wait_for("publishing paused", seconds=_GIVEN_UP_SECONDS)
        heard = consumer.applied
        wait_until(lambda: gates.held > 1, "a new client sends it again")
        ready = relay.ready()
        writers.stop()
    gates.open_for_requests()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, {consumer.duplicates} duplicates, {heard} while one was held")
    assert (stalled["level"], ready) == ("warning", False)
    assert "_TIMED_OUT" in paused["error"]
    wait_until(relay.ready, "the relay is ready again")


def _blocked(relay: RelayUnderTest) -> float:
    return relay.metric("relay_blocked_streams")
