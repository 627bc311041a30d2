"""A consumer that notes when each event arrived, in a process of its own.

``python -m tests.benchmarks.relay.arrivals BATCH_SIZE MESSAGES`` prints a line when it reads from
the end of the topic, and after so many different events, or 20 s without any, an object: event id
to the time of its arrival by the machine's monotonic clock.
"""

import json
import os
import sys
import time

from confluent_kafka import Consumer, Message, TopicPartition

from relay.settings import read_settings

_PATIENCE_SECONDS = 20.0


def main() -> None:
    wanted = int(sys.argv[2])
    settings = read_settings(os.environ)
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": "benchmark"}
    )
    topic = settings.kafka_topic
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign(
        [TopicPartition(topic, number, _end(consumer, topic, number)) for number in partitions]
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    arrived: dict[str, float] = {}
    newest = time.monotonic()
    while len(arrived) < wanted and time.monotonic() - newest < _PATIENCE_SECONDS:
        message = consumer.poll(0.5)
        if message is None:
            continue
        newest = time.monotonic()
        if message.error() is not None:
            sys.exit(str(message.error()))
        arrived.setdefault(_event_id(message), newest)
    consumer.close()
    sys.stdout.write(json.dumps(arrived))


def _event_id(message: Message) -> str:
    value = dict(message.headers() or [])["ce_id"]
    return value.decode() if isinstance(value, bytes) else str(value)


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    # Asked for now: "the end" would be looked up later, when there may be more.
    return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]


if __name__ == "__main__":
    main()
