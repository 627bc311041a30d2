"""Topics that a test makes before anybody writes to them, and what an operator changes of them.

A controller answers when a change is in its log; the broker follows a moment later, also where both
are one process. On a busy machine 24 of 300 messages were still refused right after their limit was
raised, and 51 of 150 topics were not there yet, for up to 0.3 s. What is promised begins when the
broker has followed.
"""

from collections.abc import Mapping

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stub leaves three out
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from tests.integration.relay.relay_process import wait_until

PARTITIONS = 3
_REQUEST_SECONDS = 30.0
_WEEK_MS = 7 * 24 * 3_600 * 1_000


def create_topic(
    admin: AdminClient,
    name: str,
    config: Mapping[str, str] | None = None,
    *,
    partitions: int = PARTITIONS,
) -> None:
    """Create a topic; returns when the broker knows it."""
    topic = NewTopic(name, num_partitions=partitions, config=dict(config or {}))
    admin.create_topics([topic])[name].result(_REQUEST_SECONDS)
    wait_until(lambda: is_there(admin, name), f"the broker knows {name}")


def is_there(admin: AdminClient, name: str) -> bool:
    """Return whether the broker knows the topic and each of its partitions has a leader."""
    found = admin.list_topics(name, timeout=_REQUEST_SECONDS).topics[name]
    return found.error is None and all(each.leader >= 0 for each in found.partitions.values())


def limit_messages(admin: AdminClient, name: str, max_message_bytes: int) -> None:
    """Change what one batch of a topic may hold; returns when the broker keeps to it.

    What the broker tells of its settings is ahead of what it does, by as much as it takes to carry
    out one change. It carries them out one after the other: if it tells of a second one that was
    made when it told of the first, the first is carried out.
    """
    _change(admin, name, "max.message.bytes", max_message_bytes)
    # Of no consequence for anything that a test writes; another one for each limit.
    _change(admin, name, "retention.ms", _WEEK_MS + max_message_bytes)


def _change(admin: AdminClient, topic: str, setting: str, value: int) -> None:
    """Return when the broker tells of the change."""
    change = ConfigEntry(setting, str(value), incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
    admin.incremental_alter_configs([changed])[changed].result(_REQUEST_SECONDS)
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def told() -> bool:
        settings = admin.describe_configs([asked])[asked].result(_REQUEST_SECONDS)
        return bool(settings[setting].value == str(value))

    wait_until(told, f"the broker tells of {setting}={value}")
