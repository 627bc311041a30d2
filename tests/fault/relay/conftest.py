"""One broker for all faults, a relay, and a consumer that holds what arrives against the ledger.

The broker has listeners behind two proxies and one with TLS and passwords, beside the plain one.
Tests kill and freeze it; whoever comes next finds it running.
"""

import contextlib
import random
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

import pytest

from entrypoints.dev.kafka import Broker
from entrypoints.dev.kafka_jars import BrokerUnavailableError, java_program
from entrypoints.dev.kafka_listeners import Listener, SecureListener, secure_listener
from tests.conftest import unavailable
from tests.fault.lengths import TEST_SECONDS
from tests.fault.relay.evidence import evidence
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.gated_proxy import GatedProxy
from tests.fault.relay.slow_proxy import SlowProxy
from tests.fault.relay.writers import Writers
from tests.integration.relay.relay_process import RelayUnderTest

StartRelay = Callable[..., RelayUnderTest]

_FAILED = pytest.StashKey[bool]()


class StartWriters(Protocol):
    """Makes writers that share the test's seed; they write once they are entered."""

    def __call__(
        self,
        *,
        writers: int = 4,
        streams: int = 40,
        events: int | None = None,
        per_second: float | None = None,
        at_once: int = 3,
        notify: bool = True,
    ) -> Writers: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "fault_broker" in getattr(item, "fixturenames", ()):
            item.add_marker("broker")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def proxy() -> Iterator[SlowProxy]:
    """The way into the broker that can be slowed down."""
    with SlowProxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def gates() -> Iterator[GatedProxy]:
    """The way into the broker with gates for events and for the answers to them."""
    with GatedProxy() as gates:
        yield gates


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> SecureListener:
    """The way into the broker that asks for a password, over TLS."""
    try:
        return secure_listener(java_program(), tmp_path_factory.mktemp("certificates"))
    except BrokerUnavailableError as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def fault_broker(proxy: SlowProxy, gates: GatedProxy, secure: SecureListener) -> Iterator[Broker]:
    """The broker behind `mortal_broker`, whatever the last test left of it."""
    slow = Listener("SLOW", advertised_port=proxy.port)
    gated = Listener("GATED", advertised_port=gates.port)
    try:
        broker = Broker(listeners=[slow, gated, secure])
    except BrokerUnavailableError as error:
        unavailable(str(error))
    with broker:
        proxy.lead_to(broker.address_of(slow))
        gates.lead_to(broker.address_of(gated))
        yield broker
        # Its data goes with it: time to close the logs of every test's topic would be wasted.
        broker.kill()


@pytest.fixture
def mortal_broker(fault_broker: Broker) -> Iterator[Broker]:
    """A running broker that a test may kill, freeze and restart."""
    if not fault_broker.running:
        fault_broker.restart()
    yield fault_broker
    fault_broker.thaw()


@pytest.fixture
def topic() -> str:
    """A topic of this test alone; the relay creates it."""
    return f"lifecycle-{uuid.uuid4()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture
def start_relay(
    database: str, mortal_broker: Broker, topic: str, request: pytest.FixtureRequest
) -> Iterator[StartRelay]:
    """Starts relays on this test's database and topic; those still alive are killed at the end.

    Of a test that failed it prints what is pending and blocked, and what the relays logged last.
    """
    started: list[RelayUnderTest] = []
    with contextlib.ExitStack() as relays:

        def start(**overrides: str) -> RelayUnderTest:
            environment = {
                "DATABASE_URL": database,
                "KAFKA_BOOTSTRAP_SERVERS": mortal_broker.bootstrap_servers,
                "KAFKA_TOPIC": topic,
                "KAFKA_IMAGE_TOPIC": topic,
                "KAFKA_CREATE_TOPICS": "true",
                "KAFKA_TOPIC_PARTITIONS": "3",
                "RELAY_PORT": "0",
                **overrides,
            }
            started.append(relays.enter_context(RelayUnderTest(environment)))
            return started[-1]

        yield start
        if request.node.stash.get(_FAILED, False):
            sys.stdout.writelines(f"{line}\n" for line in evidence(database, started))


@pytest.fixture
def start_writers(database: str, topic: str, rng: random.Random) -> StartWriters:
    def make(
        *,
        writers: int = 4,
        streams: int = 40,
        events: int | None = None,
        per_second: float | None = None,
        at_once: int = 3,
        notify: bool = True,
    ) -> Writers:
        return Writers(
            database,
            topic,
            rng,
            writers=writers,
            streams=streams,
            events=events,
            per_second=per_second,
            at_once=at_once,
            notify=notify,
        )

    return make


@pytest.fixture
def consumer(
    mortal_broker: Broker, topic: str, request: pytest.FixtureRequest
) -> Iterator[FollowingConsumer]:
    """Reads the test's topic from before the first event on."""
    with FollowingConsumer(mortal_broker.bootstrap_servers, topic) as consumer:
        yield consumer
        if request.node.stash.get(_FAILED, False):
            sys.stdout.writelines(f"consumer: {line}\n" for line in consumer.log())
