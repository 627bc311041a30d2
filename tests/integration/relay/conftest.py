"""Fixtures of the relay's integration tests; ``database`` and ``broker`` come from above."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from confluent_kafka.admin import AdminClient

from entrypoints.dev import kafka
from entrypoints.dev.kafka_jars import BrokerUnavailableError
from tests.conftest import unavailable
from tests.integration.relay.harness import RelayUnderTest
from tests.integration.relay.topics import create_topic


class Broker(Protocol):
    @property
    def bootstrap_servers(self) -> str: ...


@pytest.fixture
def topic() -> str:
    """A topic of this test alone; the relay creates it."""
    return f"lifecycle-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def mortal_broker() -> Iterator[kafka.Broker]:
    """A broker that a test may kill, as long as it starts it again."""
    try:
        started = kafka.Broker()
    except BrokerUnavailableError as error:
        unavailable(str(error))
    with started:
        yield started


@pytest.fixture
def start_relay(
    database: str, broker: Broker, topic: str
) -> Iterator[Callable[..., RelayUnderTest]]:
    """Starts relays on this test's database and topic; those still alive are killed at the end."""
    with contextlib.ExitStack() as relays:

        def start(**overrides: str) -> RelayUnderTest:
            environment = {
                "DATABASE_URL": database,
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
                "KAFKA_TOPIC": topic,
                "KAFKA_IMAGE_TOPIC": topic,
                "KAFKA_CREATE_TOPICS": "true",
                "RELAY_PORT": "0",
                **overrides,
            }
            return relays.enter_context(RelayUnderTest(environment))

        yield start


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


@pytest.fixture
def target(admin: AdminClient) -> Iterator[str]:
    """A topic that is there for this test's replay."""
    name = f"replayed-{uuid.uuid4()}"
    create_topic(admin, name)
    yield name
    admin.delete_topics([name])[name].result(30)
