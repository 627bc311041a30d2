"""Apache Kafka as development and tests run it, and librdkafka's mock."""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stub leaves one out
    AdminClient,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from entrypoints.dev import kafka_topics
from entrypoints.dev.kafka import Broker, start_broker
from entrypoints.dev.kafka_jars import BrokerUnavailableError
from entrypoints.dev.kafka_mock import MockBroker
from tests.contracts.subjects import wait_until


@pytest.fixture(scope="module")
def own_broker(broker: object) -> Iterator[Broker]:
    """A broker that may be killed; `broker` says whether one can run here at all."""
    with Broker() as started:
        yield started


def _create_topic(bootstrap_servers: str) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    return name


def _produce(bootstrap_servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def _first_value(bootstrap_servers: str, topic: str) -> bytes | None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
        }
    )
    with contextlib.closing(consumer):
        consumer.subscribe([topic])
        # A broker that has just begun may know of a topic only a moment later, and says so.
        deadline = time.monotonic() + 30
        while (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(left)
            if message is not None and message.error() is None:
                return message.value()
        return None


def test_an_acknowledged_message_survives_a_kill_of_the_broker(own_broker: Broker) -> None:
    address = own_broker.bootstrap_servers
    topic = _create_topic(address)
    _produce(address, topic, b"kept")

    own_broker.kill()
    own_broker.start()

    assert own_broker.bootstrap_servers == address
    assert _first_value(address, topic) == b"kept"


def test_topics_are_not_created_by_producing(own_broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap_servers})

    admin.list_topics("never-made", timeout=30)

    assert "never-made" not in admin.list_topics(timeout=30).topics


def test_the_mock_serves_the_designed_topics_to_other_processes() -> None:
    with MockBroker() as mock:
        _produce(mock.bootstrap_servers, "container-lifecycle", b"hello")

        assert _first_value(mock.bootstrap_servers, "container-lifecycle") == b"hello"


def test_without_java_the_mock_is_used_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _path_without_java(tmp_path, monkeypatch)
    said: list[str] = []

    broker = start_broker(say=said.append)
    broker.stop()

    assert len(said) == 1
    assert "mock cluster" in said[0]
    assert "Java 17" in said[0]


def test_without_java_a_broker_that_must_be_real_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _path_without_java(tmp_path, monkeypatch)

    with pytest.raises(BrokerUnavailableError, match="Java 17"):
        start_broker(allow_mock=False)


def _path_without_java(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def test_a_topic_is_created_with_a_limit_which_is_changed_later(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", own_broker.bootstrap_servers)
    topic = f"test-{uuid.uuid4().hex[:8]}"

    codes = [
        kafka_topics.main(["create", topic, "--partitions", "3", "--max-message-bytes", "1000"]),
        kafka_topics.main(["create", topic]),
        kafka_topics.main(["limit", topic, "2000"]),
    ]

    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap_servers})
    assert codes == [0, 1, 0]
    assert capsys.readouterr().err == f"{topic}: Topic '{topic}' already exists.\n"

    def limit() -> str | None:
        value = admin.describe_configs([resource])[resource].result(10)["max.message.bytes"].value
        return None if value is None else str(value)

    # The controller answers first, and its broker hears of it some time later.
    wait_until(lambda: limit() == "2000")
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 3
