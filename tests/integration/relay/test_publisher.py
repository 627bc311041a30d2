"""A producer that ends, by itself or because it is given up, still tells of every message."""

import logging
import socket
import time
from functools import partial
from typing import Any

import msgspec
import pytest

from relay.kafka_client import KafkaClient, Options
from relay.pending_event import PendingEvent
from relay.publisher import ALONE, ONE_BY_ONE, Publisher
from relay.settings import KafkaSettings
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import wait_until
from tests.integration.relay.test_broker_trouble import limit_messages

pytestmark = pytest.mark.broker

_EVENTS = 5_000
_LOG = logging.getLogger("a client under test")


def events_of(
    topic: str, count: int, *, size: int = 500, streams: int = _EVENTS
) -> list[PendingEvent]:
    payload = b"x" * size
    return [
        PendingEvent(
            id_, f"event-{id_}", topic, str(id_), f"s{id_ % streams}", id_, payload, [], 0.0, None
        )
        for id_ in range(1, count + 1)
    ]


def send(publisher: Publisher, events: list[PendingEvent]) -> None:
    publisher.take(events)
    publisher.send()


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
    failed = 0
    for _ in range(5):
        publisher = Publisher({**options, "batch.num.messages": 100}, _LOG, list)
        first, rest = events_of(topic, _EVENTS)[:100], events_of(topic, _EVENTS)[100:]
        send(publisher, first)
        wait_until(partial(some_are_acknowledged, publisher), "the first are acknowledged")
        send(publisher, rest)

        publisher.discard()

        # Nothing waits for a report: what is neither settled nor failed would never be.
        publisher.take_acknowledged()
        assert publisher.under_way == 0
        failed += len(publisher.failures)
    # Of one, the broker may be so quick, or this thread so slow, that nothing was in flight.
    assert failed


def test_all_is_reported_to_a_process_that_has_hardly_any_time_for_it(
    topic: str, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = KafkaClient._report

    def slow_report(*told: Any) -> None:
        until = time.monotonic() + 0.000_5
        while time.monotonic() < until:
            pass
        report(*told)

    publisher = Publisher({**options, "batch.num.messages": 100}, _LOG, list)
    first, rest = events_of(topic, _EVENTS)[:100], events_of(topic, _EVENTS)[100:]
    send(publisher, first)
    wait_until(partial(some_are_acknowledged, publisher), "the first are acknowledged")
    monkeypatch.setattr(KafkaClient, "_report", slow_report)
    send(publisher, rest)

    publisher.discard()

    publisher.take_acknowledged()
    assert publisher.under_way == 0


def test_a_batch_that_fails_speaks_against_each_of_its_messages_and_not_against_kafka(
    topic: str, options: Options
) -> None:
    # It waits for more than the topic takes at once, however slowly they are handed over.
    together: Options = {"batch.num.messages": 1_000, "linger.ms": 1_000}
    publisher = Publisher({**options, **together}, _LOG, list)

    send(publisher, events_of(topic, _EVENTS))
    # A second after the first error it waits no more, whatever is still to be reported.
    began = time.monotonic()
    while publisher.under_way:
        publisher.await_rest(lambda: True)
        assert time.monotonic() - began < 60

    breakdown = publisher.breakdown()
    publisher.discard()
    assert breakdown is not None
    assert breakdown.trouble is None
    assert len(breakdown.suspects) + len(publisher.take_acknowledged()) == _EVENTS


def test_one_by_one_the_same_messages_are_all_delivered(topic: str, options: Options) -> None:
    publisher = Publisher({**options, **ONE_BY_ONE}, _LOG, list)

    send(publisher, events_of(topic, 500))
    publisher.await_rest(lambda: True)

    assert len(publisher.take_acknowledged()) == 500
    publisher.discard()


def test_of_a_stream_only_one_event_is_under_way_and_none_behind_one_that_failed(
    topic: str, options: Options
) -> None:
    publisher = Publisher({**options, **ONE_BY_ONE}, _LOG, list)
    good, *rest = events_of(topic, 3, streams=1)
    large = events_of(topic, 1, size=200_000)[0]
    poison = msgspec.structs.replace(rest[0], payload=large.payload)
    publisher.take([good, poison, rest[1]])

    passed = []
    for _ in range(3):
        publisher.send()
        publisher.await_rest(lambda: True)
        passed += publisher.take_acknowledged()

    assert [event.id for event in passed] == [good.id]
    assert [failure.event for failure in publisher.failures] == [poison]
    assert publisher.under_way == 1
    publisher.discard()


def test_the_backlog_of_a_stream_does_not_wait_at_each_event_for_more_to_send_with_it(
    topic: str, options: Options
) -> None:
    publisher = Publisher({**options, "linger.ms": 2_000}, _LOG, list)
    began = time.monotonic()

    send(publisher, events_of(topic, 20, streams=1))
    acknowledged: list[PendingEvent] = []
    while len(acknowledged) < 20:
        publisher.hurry(0.05)
        acknowledged += publisher.take_acknowledged()
        publisher.send()
        assert time.monotonic() - began < 20

    publisher.discard()


def test_a_message_that_the_clients_queue_can_never_hold_is_a_failure(
    topic: str, options: Options
) -> None:
    publisher = Publisher({**options, "queue.buffering.max.kbytes": 1}, _LOG, list)

    send(publisher, events_of(topic, 1, size=3_000))

    assert [failure.code for failure in publisher.failures] == ["MSG_SIZE_TOO_LARGE"]
    publisher.discard()


@pytest.mark.parametrize(("size", "code"), [(500, None), (200_000, "MSG_SIZE_TOO_LARGE")])
def test_a_message_alone_is_delivered_or_to_blame(
    topic: str, options: Options, size: int, code: str | None
) -> None:
    publisher = Publisher({**options, **ALONE}, _LOG, list)

    send(publisher, events_of(topic, 1, size=size))
    publisher.await_rest(lambda: True)

    breakdown = publisher.breakdown()
    publisher.discard()
    assert (breakdown and breakdown.codes) == ({code: 1} if code else None)


def test_a_broker_that_says_nothing_is_not_waited_for_for_ever(topic: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = KafkaSettings(database_url="unused", kafka_bootstrap_servers=address)
        publisher = Publisher(settings.client_options(), _LOG, list)
        send(publisher, events_of(topic, 1))

        publisher.await_rest(lambda: True)

        assert (publisher.under_way, publisher.failures) == (1, [])
        publisher.discard()
