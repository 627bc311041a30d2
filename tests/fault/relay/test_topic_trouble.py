"""A topic is deleted and made anew, or refuses one event among good ones.

What Kafka deletes with a topic is not the relay's to bring back, so the consumer has caught up
before; from then on nothing may be missing.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.lengths import LONG, PROMPTLY_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, raise_and_record, writing_session
from tests.fault.relay.topics import create_topic, delete_topic, limit_messages
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# A producer believes that a topic is gone only after a while: librdkafka's 30 s, unless told.
_DISBELIEF = {} if LONG else {"KAFKA_CLIENT_TOPIC_METADATA_PROPAGATION_MAX_MS": "3000"}

_BLOCKED = "SELECT stream, code FROM blocked_streams"


def test_a_topic_deleted_under_the_relay_is_created_anew(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    start_relay(**_DISBELIEF)
    with start_writers(events=300) as writers:
        writers.wait_until_ended()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    delete_topic(mortal_broker, topic)
    consumer.topic_is_gone()
    with start_writers(events=600, per_second=300) as writers:
        writers.wait_until_ended()

    assert consumer.expect_ledger(database, RECOVERY_SECONDS) == 900


def test_a_topic_deleted_under_the_relay_is_waited_for_where_it_may_not_create_one(
    database: str,
    topic: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    create_topic(mortal_broker, topic)
    relay = start_relay(KAFKA_CREATE_TOPICS="false", **_DISBELIEF)
    with start_writers(events=300) as writers:
        writers.wait_until_ended()
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    delete_topic(mortal_broker, topic)
    consumer.topic_is_gone()
    with start_writers(events=600, per_second=300) as writers:
        writers.wait_until_ended()
    relay.wait_for("publishing paused", seconds=RECOVERY_SECONDS)
    wait_until(lambda: f"topic {topic} is missing" in relay.get("/readyz")[1], "readiness says so")
    create_topic(mortal_broker, topic)

    assert consumer.expect_ledger(database, RECOVERY_SECONDS) == 900
    wait_until(relay.ready, "the relay is ready again")


@pytest.mark.parametrize(
    ("limit", "poison"),
    [(100_000, 150_000), (2_000, 5_000)],
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
    with psycopg.connect(database) as operator:
        blocked = operator.execute(_BLOCKED).fetchall()
    wait_until(lambda: relay.metric("relay_blocked_streams") == 1, "it is counted")
    limit_messages(mortal_broker, topic, 1_000_000)
    released = _release(database, "container/7")
    consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert (line["stream"], line["sequence"]) == ("container/7", 3)
    assert blocked == [("container/7", "MSG_SIZE_TOO_LARGE")]
    assert (released.returncode, released.stderr) == (0, "")
    wait_until(lambda: relay.metric("relay_blocked_streams") == 0, "nothing is blocked any more")


def _release(database: str, stream: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay", "release", stream],
        cwd=Path(__file__).parents[3],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
