"""Events that their topic refuses, among good ones and under load.

A broker refuses the whole batch that such an event travelled in, while later batches are on their
way: none of them may be let past it, and no good event may be taken for a bad one.
"""

import random
import time

import psycopg
import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import LONG, PROMPTLY_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, raise_and_record, write, writing_session
from tests.fault.relay.slow_proxy import SlowProxy
from tests.fault.relay.topics import create_topic, limit_messages
from tests.integration.relay.command_harness import run_command
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

pytestmark = pytest.mark.broker

_LIMIT_BYTES, _TOO_LARGE_BYTES = 100_000, 150_000
_MANY = 400
_POISONED = range(901, 931) if LONG else range(901, 907)
# What a broker is given up on with most of what was sent still on its way.
_SLOW_BYTES_PER_SECOND = 500_000.0

_BLOCKED = "SELECT stream, code FROM blocked_streams ORDER BY stream"


@pytest.mark.parametrize(
    ("limit", "poison"),
    [(_LIMIT_BYTES, _TOO_LARGE_BYTES), (2_000, 5_000)],
    ids=["good-ones-fit-together", "good-ones-fit-one-by-one"],
)
def test_an_event_too_large_for_its_topic_blocks_its_stream_until_it_is_released(
    limit: int,
    poison: int,
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=limit)
    prepare_streams(database, 20)
    with writing_session(database) as writer:
        # One transaction, and so one batch: two good events of each stream on either side.
        for aggregate in range(1, 21):
            raise_and_record(writer, topic, aggregate, 2)
        raise_and_record(writer, topic, 7, padding=poison)
        for aggregate in range(1, 21):
            raise_and_record(writer, topic, aggregate, 2)

    relay = start_relay()
    line = relay.wait_for("stream blocked", seconds=RECOVERY_SECONDS)
    consumer.wait_for(19 * 4 + 2, RECOVERY_SECONDS)
    blocked = _blocked(database)
    wait_until(lambda: relay.metric("relay_blocked_streams") == 1, "it is counted")
    limit_messages(mortal_broker, topic, 1_000_000)
    released = run_command("release", "container/7", database=database)
    consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert (line["stream"], line["sequence"]) == ("container/7", 3)
    assert blocked == [("container/7", "MSG_SIZE_TOO_LARGE")]
    assert (released.code, released.err) == (0, "")
    wait_until(lambda: relay.metric("relay_blocked_streams") == 0, "nothing is blocked any more")


def test_on_a_quiet_partition_nothing_follows_an_event_that_is_too_large(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    """A broker that knows nothing of a producer yet accepts whatever comes behind."""
    create_topic(mortal_broker, topic, max_message_bytes=_LIMIT_BYTES)
    prepare_streams(database, 7)
    with writing_session(database) as writer:
        raise_and_record(writer, topic, 7)
        raise_and_record(writer, topic, 7, padding=_TOO_LARGE_BYTES)
        raise_and_record(writer, topic, 7, 2)

    start_relay().wait_for("stream blocked", seconds=RECOVERY_SECONDS)
    applied = consumer.last_of("container/7")
    limit_messages(mortal_broker, topic, 1_000_000)
    run_command("release", "container/7", database=database)
    consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert applied <= 1


def test_a_topic_whose_limit_is_below_a_batch_of_the_client_is_drained_all_the_same(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=2_000)
    with start_writers(streams=3, events=3_000) as writers:
        writers.wait_until_ended()

    relay = start_relay()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    # One of each stream a failure would be a thousand.
    assert sum(line["event"] == "delivery failed" for line in relay.lines) <= 3


@pytest.mark.parametrize("bytes_per_second", [None, _SLOW_BYTES_PER_SECOND], ids=["quick", "slow"])
def test_events_too_large_for_their_topic_under_load_let_nothing_past_what_failed_with_them(
    bytes_per_second: float | None,
    database: str,
    topic: str,
    mortal_broker: Broker,
    proxy: SlowProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    rng: random.Random,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=_LIMIT_BYTES)
    prepare_streams(database, max(_POISONED))
    with start_writers(streams=200, events=4_000) as writers:
        writers.wait_until_ended()
    proxy.bytes_per_second = bytes_per_second
    try:
        relay = start_relay(RELAY_BATCH_SIZE="200", KAFKA_BOOTSTRAP_SERVERS=proxy.address)
        with start_writers(streams=200, per_second=300) as writers:
            for aggregate in _POISONED:
                writers.wait_for_more(rng.randint(50, 500))
                write(database, topic, aggregate, padding=_TOO_LARGE_BYTES)
            _wait_until_blocked(relay, len(_POISONED))
            writers.wait_for_more(500)
    finally:
        proxy.bytes_per_second = None
    consumer.wait_for(4_000 + writers.committed, RECOVERY_SECONDS)

    blocked = _blocked(database)
    limit_messages(mortal_broker, topic, 1_000_000)
    for aggregate in _POISONED:
        run_command("release", f"container/{aggregate}", database=database)
    total = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{total} events, {len(_POISONED)} too large, {consumer.duplicates} duplicates")
    assert blocked == [(f"container/{number}", "MSG_SIZE_TOO_LARGE") for number in _POISONED]


def test_sigterm_while_hundreds_of_suspects_are_tried_ends_the_relay_in_time(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=1_000)
    prepare_streams(database, _MANY)
    with writing_session(database) as writer:
        for aggregate in range(1, _MANY + 1):
            raise_and_record(writer, topic, aggregate, 2, padding=3_000)
    relay = start_relay()
    relay.wait_for("stream blocked", seconds=RECOVERY_SECONDS)

    code, seconds = relay.terminate()
    tried = len(_blocked(database))
    _wait_until_blocked(start_relay(), _MANY)
    limit_messages(mortal_broker, topic, 1_000_000)
    with psycopg.connect(database) as operator:
        operator.execute("DELETE FROM blocked_streams")
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"ended in {seconds:.1f} s with {tried} of {_MANY} streams blocked")
    assert (code, seconds < 5, tried < _MANY) == (0, True, True), (code, seconds, tried)


def test_good_streams_do_not_wait_until_hundreds_of_suspects_are_tried(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    note: Note,
) -> None:
    create_topic(mortal_broker, topic, max_message_bytes=1_000)
    prepare_streams(database, _MANY + 1)
    with writing_session(database) as writer:
        for aggregate in range(1, _MANY + 1):
            raise_and_record(writer, topic, aggregate, padding=3_000)
    relay = start_relay()
    relay.wait_for("stream blocked", seconds=RECOVERY_SECONDS)

    began = time.monotonic()
    write(database, topic, _MANY + 1)
    consumer.wait_for(1, RECOVERY_SECONDS)
    seconds = time.monotonic() - began
    tried = len(_blocked(database))
    _wait_until_blocked(relay, _MANY)
    limit_messages(mortal_broker, topic, 1_000_000)
    with psycopg.connect(database) as operator:
        operator.execute("DELETE FROM blocked_streams")
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"published after {seconds:.1f} s, when {tried} of {_MANY} suspects had been tried")
    assert tried < _MANY / 2


def _wait_until_blocked(relay: RelayUnderTest, streams: int) -> None:
    wait_until(
        lambda: relay.metric("relay_blocked_streams") == streams,
        f"{streams} streams are blocked",
        RECOVERY_SECONDS,
    )


def _blocked(database: str) -> list[tuple[str, str]]:
    with psycopg.connect(database) as operator:
        return operator.execute(_BLOCKED).fetchall()
