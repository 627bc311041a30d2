"""A topic is deleted and made anew.

What Kafka deletes with a topic is not the relay's to bring back, so the consumer has caught up
before; from then on nothing may be missing.
"""

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.topics import create_topic, delete_topic
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# A producer believes that a topic is gone only after a while: librdkafka's 30 s, unless told.
_DISBELIEF = {} if LONG else {"KAFKA_CLIENT_TOPIC_METADATA_PROPAGATION_MAX_MS": "3000"}


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
