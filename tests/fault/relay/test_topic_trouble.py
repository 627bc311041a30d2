"""A topic is deleted and made anew.

What Kafka deletes with a topic is not the relay's to bring back, so the consumer has caught up
before; from then on nothing may be missing.
"""

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.recording import prepare_streams, write
from tests.fault.relay.topics import create_topic, delete_topic
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# A producer believes that a topic is gone only after a while: librdkafka's 30 s, unless told.
_DISBELIEF = {} if LONG else {"KAFKA_CLIENT_TOPIC_METADATA_PROPAGATION_MAX_MS": "3000"}
# Four aggregates have one key.
_OF_ONE_PARTITION = (4, 5, 6, 7)


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


def test_a_topic_made_anew_between_two_requests_in_flight_costs_no_event(
    database: str,
    topic: str,
    mortal_broker: Broker,
    gates: GatedProxy,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    """The broker refuses a request, and takes the next one of the same producer.

    The new topic knows nothing of the producer, and the client takes what was refused for
    delivered as soon as something behind it was.
    """
    create_topic(mortal_broker, topic)
    prepare_streams(database, max(_OF_ONE_PARTITION))
    start_relay(KAFKA_BOOTSTRAP_SERVERS=gates.address, **_DISBELIEF)
    for aggregate in _OF_ONE_PARTITION:
        write(database, topic, aggregate)
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    gates.hold()
    for number, aggregate in enumerate(_OF_ONE_PARTITION, start=1):
        write(database, topic, aggregate)
        wait_until(lambda number=number: gates.held == number, "a request more is in flight")  # type: ignore[misc]
    delete_topic(mortal_broker, topic)
    consumer.topic_is_gone()
    gates.let_requests_through(1)
    wait_until(lambda: gates.answers == 1, "the first one is refused")
    create_topic(mortal_broker, topic)
    gates.open_for_requests()
    wait_until(lambda: gates.answers == len(_OF_ONE_PARTITION), "the others are answered")
    gates.open_for_answers()

    assert consumer.expect_ledger(database, RECOVERY_SECONDS) == 2 * len(_OF_ONE_PARTITION)
