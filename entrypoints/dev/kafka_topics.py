"""A topic for a try: create it, or change what its largest message may be.

    python -m entrypoints.dev.kafka_topics create TOPIC [--partitions N] [--max-message-bytes N]
    python -m entrypoints.dev.kafka_topics limit TOPIC BYTES

The broker is that of KAFKA_BOOTSTRAP_SERVERS, without TLS or password.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stub leaves three out
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

_REQUEST_SECONDS = 10.0
_LIMIT = "max.message.bytes"


def main(arguments: Sequence[str]) -> int:
    """Do what was typed; return the exit code: 1 if the broker did not do it."""
    parser = argparse.ArgumentParser(prog="python -m entrypoints.dev.kafka_topics")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    create = commands.add_parser("create", help="create a topic")
    create.add_argument("topic")
    create.add_argument("--partitions", type=int, default=1, metavar="N")
    create.add_argument("--max-message-bytes", type=int, metavar="N")
    limit = commands.add_parser("limit", help="change the largest message of a topic")
    limit.add_argument("topic")
    limit.add_argument("bytes", type=int)
    given = parser.parse_args(arguments)
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not servers:
        parser.error("KAFKA_BOOTSTRAP_SERVERS is not set")
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    try:
        if given.command == "create":
            _create(admin, given.topic, given.partitions, given.max_message_bytes)
        else:
            _limit(admin, given.topic, given.bytes)
    except KafkaException as exc:
        sys.stderr.write(f"{given.topic}: {exc.args[0].str()}\n")
        return 1
    return 0


def _create(admin: AdminClient, topic: str, partitions: int, max_bytes: int | None) -> None:
    config = {} if max_bytes is None else {_LIMIT: str(max_bytes)}
    asked = admin.create_topics(
        [NewTopic(topic, num_partitions=partitions, config=config)],
        request_timeout=_REQUEST_SECONDS,
    )
    asked[topic].result()


def _limit(admin: AdminClient, topic: str, max_bytes: int) -> None:
    change = ConfigEntry(_LIMIT, str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
    asked = admin.incremental_alter_configs([resource], request_timeout=_REQUEST_SECONDS)
    asked[resource].result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
