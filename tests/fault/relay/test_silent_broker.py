"""A broker that answers everything but what is produced: a new client is tried in the end."""

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.recording import prepare_streams, write_many
from tests.fault.relay.topics import create_topic
from tests.integration.relay.harness import wait_until

_STREAMS = 100
# The client is given up after 30 s.
_GIVEN_UP_SECONDS = 60.0


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
