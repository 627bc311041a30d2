"""A producer that ends, by itself or because it is given up, still tells of every message."""

import logging
from functools import partial

import pytest

from relay.outbox import PendingEvent
from relay.publisher import ALONE, ONE_BY_ONE, Options, Publisher
from relay.settings import KafkaSettings
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import wait_until
from tests.integration.relay.test_broker_trouble import limit_messages

pytestmark = pytest.mark.broker

_EVENTS = 5_000
_LOG = logging.getLogger("a client under test")


def events_of(topic: str, count: int, size: int = 500) -> list[PendingEvent]:
    """Return events of ten streams."""
    payload = b"x" * size
    return [
        PendingEvent(
            id_, f"event-{id_}", topic, str(id_ % 10), str(id_ % 10), id_, payload, [], 0.0, None
        )
        for id_ in range(1, count + 1)
    ]


def some_are_acknowledged(publisher: Publisher) -> bool:
    publisher.poll(0.01)
    return bool(publisher.take_acknowledged())


@pytest.fixture
def options(broker: Broker, topic: str) -> Options:
    """Those of a relay, for a topic that takes 100,000 bytes at once and no more."""
    limit_messages(broker, topic, 100_000)
    settings = KafkaSettings(
        database_url="unused", kafka_bootstrap_servers=broker.bootstrap_servers
    )
    return settings.client_options()


def test_whatever_is_in_flight_when_a_publisher_is_given_up_is_reported(
    topic: str, options: Options
) -> None:
    for _ in range(5):
        publisher = Publisher({**options, "batch.num.messages": 100}, _LOG)
        publisher.send(events_of(topic, _EVENTS))
        wait_until(partial(some_are_acknowledged, publisher), "the first are acknowledged")

        publisher.discard()

        publisher.take_acknowledged()
        # Nothing waits for a report: what is neither settled nor failed would never be.
        assert publisher.in_flight == len(publisher.failures) > 0


def test_a_batch_that_fails_ends_the_client_and_nothing_behind_it_is_delivered(
    topic: str, options: Options
) -> None:
    publisher = Publisher({**options, "batch.num.messages": 1_000}, _LOG)

    publisher.send(events_of(topic, _EVENTS))
    publisher.await_rest(lambda: True)

    assert publisher.fatal is not None
    assert publisher.fatal.code == "_GAPLESS_GUARANTEE"
    assert publisher.take_acknowledged() == []
    assert len(publisher.failures) == _EVENTS
    breakdown = publisher.breakdown()
    publisher.discard()
    assert breakdown is not None
    assert breakdown.trouble is None
    assert breakdown.suspects


def test_one_by_one_the_same_messages_are_all_delivered(topic: str, options: Options) -> None:
    publisher = Publisher({**options, **ONE_BY_ONE}, _LOG)

    publisher.send(events_of(topic, 500))
    publisher.await_rest(lambda: True)

    assert len(publisher.take_acknowledged()) == 500
    publisher.discard()


@pytest.mark.parametrize(("size", "code"), [(500, None), (200_000, "MSG_SIZE_TOO_LARGE")])
def test_a_message_alone_is_delivered_or_to_blame(
    topic: str, options: Options, size: int, code: str | None
) -> None:
    publisher = Publisher({**options, **ALONE}, _LOG)

    publisher.send(events_of(topic, 1, size))
    publisher.await_rest(lambda: True)

    breakdown = publisher.breakdown()
    publisher.discard()
    assert (breakdown and breakdown.codes) == ({code: 1} if code else None)
