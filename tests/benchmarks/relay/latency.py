"""How long an event takes from its writer's COMMIT to a consumer, at a steady trickle.

Each event is recorded by the service's own ledger in a transaction of its own, and signalled after
the commit by its own notifier. The clock runs from the return of COMMIT to the return of the
consumer's poll in another process: the acknowledgement, and the way to the consumer on top. Beside
it, in the same rounds, the same events sent by a bare client: from ``produce`` to the consumer.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import psycopg
import uuid_utils
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families
from psycopg.rows import dict_row

from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.signals import Channel, PostgresNotifier
from adapters.wire.events import EventEncoder
from domain.events import ContainerEvent
from relay.settings import read_settings
from tests.benchmarks.relay.ledger import SOURCE, Position, event_at
from tests.benchmarks.relay.stage import LOG_ERRORS, BenchmarkError, Stage, result_of

_EVENTS_A_SECOND = 100
_ROUNDS = 2
# Containers that no measurement before has recorded.
_FIRST_CONTAINER = 100_000_000
# Of each phase, not counted: the consumer's first requests do not ask for every partition yet.
_LEAD_IN = 100


@dataclass(slots=True)
class Latencies:
    """Seconds, one figure an event.

    Attributes:
        acknowledged: Until the acknowledgement, by the relay's own histogram of these rounds: how
            many events took no longer than so many seconds, of each of its buckets.
    """

    relay: list[float] = field(default_factory=list)
    produce: list[float] = field(default_factory=list)
    acknowledged: Counter[float] = field(default_factory=Counter)


def measure_latency(stage: Stage, batch_size: int, *, seconds: float) -> Latencies:
    """Write for ``seconds`` in all through the relay, half as long past it."""
    latencies = Latencies()
    events = int(seconds * _EVENTS_A_SECOND / _ROUNDS)
    stage.empty_topic()
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(stage.relay(batch_size))
        record = stack.enter_context(_recorder(stage))
        send = _sender(stage, batch_size)
        containers = count(_FIRST_CONTAINER)
        for number in range(1, _ROUNDS + 1):
            stage.say(f"latency, round {number} of {_ROUNDS}: {_EVENTS_A_SECOND} events a second")
            latencies.produce += _trickle(stage, batch_size, send, containers, events // 2)
            latencies.relay += _trickle(stage, batch_size, record, containers, events)
        latencies.acknowledged.update(_acknowledged(relay.get("/metrics")[1]))
        relay.terminate()
    return latencies


def _acknowledged(metrics: str) -> dict[float, int]:
    """Return the cumulative buckets of the relay's histogram of commit to acknowledgement."""
    return {
        float(sample.labels["le"]): int(sample.value)
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "relay_commit_to_ack_seconds_bucket"
    }


def _trickle(
    stage: Stage,
    batch_size: int,
    write: Callable[[ContainerEvent, UUID], float],
    containers: Iterator[int],
    events: int,
) -> list[float]:
    """Write events at the pace; return how long each was under way."""
    written: dict[str, float] = {}
    with stage.child("arrivals", batch_size, _LEAD_IN + events) as consumer:
        if consumer.stdout is None or consumer.stdout.readline() != "ready\n":
            raise BenchmarkError("the consumer ended before it began")
        began = time.monotonic()
        for number, container in zip(range(_LEAD_IN + events), containers, strict=False):
            time.sleep(max(0.0, began + number / _EVENTS_A_SECOND - time.monotonic()))
            event_id = UUID(int=uuid_utils.uuid7().int)
            written[str(event_id)] = write(event_at(Position(container, 1)), event_id)
        arrived: Mapping[str, float] = result_of(consumer)
    if missing := written.keys() - arrived.keys():
        raise BenchmarkError(f"{len(missing)} of {len(written)} events never arrived")
    return [arrived[event_id] - at for event_id, at in written.items()][_LEAD_IN:]


@contextlib.contextmanager
def _recorder(stage: Stage) -> Iterator[Callable[[ContainerEvent, UUID], float]]:
    """Yield what records one event as the service does and returns when it was committed."""
    encoder = EventEncoder(stage.topic, stage.topic, SOURCE)
    url = stage.database_url
    notifier = PostgresNotifier(url)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:

        def record(event: ContainerEvent, event_id: UUID) -> float:
            signals: set[Channel] = set()
            with connection.transaction():
                PostgresLedger(connection, encoder, lambda: event_id, signals).record([event])
            committed = time.monotonic()
            notifier.signal(signals)
            return committed

        notifier.start()
        try:
            yield record
        finally:
            notifier.close()


def _sender(stage: Stage, batch_size: int) -> Callable[[ContainerEvent, UUID], float]:
    """Return what sends one event by a bare client and returns when it was handed over."""
    encoder = EventEncoder(stage.topic, stage.topic, SOURCE)
    settings = read_settings({**os.environ, **stage.environment(batch_size)})
    client = Producer({**settings.client_options(), "log_level": LOG_ERRORS})

    def send(event: ContainerEvent, event_id: UUID) -> float:
        encoded = encoder.encode(event, event_id)
        handed_over = time.monotonic()
        client.produce(encoded.topic, encoded.payload, encoded.key, headers=list(encoded.headers))
        # As the relay does when there is nothing more to send: at once, whatever lingers.
        client.flush()
        return handed_over

    return send
