"""What the tests of replays stand on: a topic for them, the command, and what has come of it."""

from collections.abc import Sequence

from confluent_kafka import Consumer, Message, TopicPartition

from tests.integration.relay.command_harness import Ended, run_command
from tests.integration.relay.conftest import Broker
from tests.integration.relay.topics import PARTITIONS

MANY = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at)
SELECT gen_random_uuid(), 'container/' || number, step, 'container.started', 'user-1', 1, number,
       'live', (number %% 7)::text, convert_to(number || ' ' || step, 'UTF8'), '[]', now()
FROM generate_series(1, %(length)s) AS step, generate_series(1, %(streams)s) AS number
"""


def replay(database: str, broker: Broker, topic: str, *arguments: str, **environment: str) -> Ended:
    """Run ``python -m relay replay`` to its end."""
    servers = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    arguments = ("replay", *arguments, "--to-topic", topic)
    return run_command(*arguments, database=database, **{**servers, **environment})


def messages_in(broker: Broker, topic: str) -> list[Message]:
    """Return everything that is in the topic now."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "none"})
    messages: list[Message] = []
    try:
        for number in range(PARTITIONS):
            partition = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(partition, timeout=30)
            consumer.assign([partition])
            seen = 0
            while seen < end:
                message = consumer.poll(30)
                assert message is not None
                assert message.error() is None, message.error()
                messages.append(message)
                seen = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return messages


def payloads(messages: Sequence[Message]) -> list[bytes]:
    return sorted(message.value() or b"" for message in messages)


def expect_nothing_sent(broker: Broker, topic: str) -> None:
    assert messages_in(broker, topic) == []
