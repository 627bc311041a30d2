"""A relay with one batch on its way to the broker, and half of the next one handed over."""

from entrypoints.dev.kafka import Broker
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.recording import prepare_streams, write_many
from tests.fault.relay.topics import create_topic
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

# Streams of a batch, and so events of it that may be under way together.
_STREAMS = 100


def start_in_mid_batch(
    action: str,
    start_relay: StartRelay,
    database: str,
    topic: str,
    broker: Broker,
    gates: GatedProxy,
) -> RelayUnderTest:
    """Start a relay that is killed, or hangs, there; the gates hold what it has sent."""
    create_topic(broker, topic)
    prepare_streams(database, 2 * _STREAMS)
    relay = start_relay(
        RELAY_FAILPOINTS=f"mid-produce={action}@2", KAFKA_BOOTSTRAP_SERVERS=gates.address
    )
    wait_until(relay.ready, "the relay is ready")
    gates.hold()
    write_many(database, topic, _STREAMS, 2)
    wait_until(lambda: gates.held, "a batch is on its way")
    # All of other streams: half of them are handed over when the failpoint is reached.
    write_many(database, topic, _STREAMS, 2, first=_STREAMS + 1)
    return relay
