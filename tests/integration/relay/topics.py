"""Topics that a test makes before anybody writes to them."""

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

PARTITIONS = 3


def create_topic(admin: AdminClient, name: str, **config: str) -> None:
    """Create a topic of three partitions."""
    topic = NewTopic(name, num_partitions=PARTITIONS, config=config)
    admin.create_topics([topic])[name].result(30)
