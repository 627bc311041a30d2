"""What an operator does to a topic, rightly or not."""

from confluent_kafka.admin import AdminClient

from entrypoints.dev.kafka import Broker
from tests.integration.relay import topics
from tests.integration.relay.harness import wait_until

_REQUEST_SECONDS = 30.0


def create_topic(broker: Broker, topic: str, *, max_message_bytes: int | None = None) -> None:
    """Create it, with a limit to what one batch may hold if one is given."""
    settings = {"max.message.bytes": str(max_message_bytes)} if max_message_bytes else {}
    topics.create_topic(_admin(broker), topic, settings)


def delete_topic(broker: Broker, topic: str) -> None:
    """Delete it; returns when the broker takes and gives nothing of it any more."""
    admin = _admin(broker)
    admin.delete_topics([topic])[topic].result(_REQUEST_SECONDS)
    # The broker stops serving a partition before it renames its folder.
    wait_until(
        lambda: not any(broker.data_folder.glob(f"{topic}-[0-9]")), "the topic's logs are gone"
    )


def limit_messages(broker: Broker, topic: str, max_message_bytes: int) -> None:
    """Change the limit of a topic that exists; returns when the broker keeps to it."""
    topics.limit_messages(_admin(broker), topic, max_message_bytes)


def _admin(broker: Broker) -> AdminClient:
    """Return a client to be kept until its answer is there: without it there is none."""
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
