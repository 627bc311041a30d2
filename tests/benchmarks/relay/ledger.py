"""A ledger as the service would have written it, and the outbox before it is published.

The events are encoded by the service's own encoder: a value of about 920 bytes, the eight headers
of CloudEvents. Their containers come and go a thousand at a time, five to an image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import uuid_utils
from psycopg.types.json import Jsonb

from adapters.wire.events import EventEncoder
from domain.events import Cause, ContainerEvent, ContainerEventType, TimeSource

_BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOURCE = "/orchestrator/6f9c1a52-0d7e-4a1b-9a53-6f2f4f2b7c11"
_EVENTS_OF_A_CONTAINER = 10
_CONTAINERS_AT_A_TIME = 1_000
_CONTAINERS_OF_AN_IMAGE = 5

_COPY_EVENTS = """
COPY events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key, payload,
             headers, occurred_at)
FROM STDIN (FORMAT BINARY)
"""
_TYPES = (
    *("uuid", "text", "int8", "text", "text", "int8", "int8", "text", "text", "bytea"),
    *("jsonb", "timestamptz"),
)


@dataclass(frozen=True, slots=True)
class Position:
    """Which event of which container."""

    container: int
    sequence: int


def positions(events: int) -> Iterator[Position]:
    """Yield as many positions in the order in which they are recorded."""
    told = 0
    group = 0
    while True:
        first = group * _CONTAINERS_AT_A_TIME + 1
        for sequence in range(1, _EVENTS_OF_A_CONTAINER + 1):
            for container in range(first, first + _CONTAINERS_AT_A_TIME):
                if told == events:
                    return
                yield Position(container, sequence)
                told += 1
        group += 1


def event_at(position: Position) -> ContainerEvent:
    """Return the event of a container that is created, and then started and stopped in turn."""
    occurred = _BEGAN + timedelta(microseconds=1_234_567 * position.sequence + position.container)
    started = position.sequence % 2 == 0
    kind = ContainerEventType.STARTED if started else ContainerEventType.STOPPED
    if position.sequence == 1:
        kind = ContainerEventType.CREATED
    image = position.container // _CONTAINERS_OF_AN_IMAGE + 1
    return ContainerEvent(
        type=kind,
        sequence=position.sequence,
        container_id=position.container,
        user_id=str(image % 100),
        image_id=image,
        docker_id=f"{position.container:064x}",
        name=f"hello-{position.container:08x}",
        container_ip="172.17.0.2",
        internal_port=8080,
        external_port=20_000 + position.container % 10_000,
        app_hostname=f"app-{image}.example",
        previous_status="starting" if started else "running",
        status="running" if started else "stopped",
        cause=Cause.API,
        run_id=UUID(int=position.container * 1_000 + position.sequence // 2),
        exit_code=None if started else 0,
        oom_killed=None if started else False,
        host="127.0.0.1",
        cpu_limit=Decimal("0.5"),
        memory_limit="512m",
        image_digest="sha256:" + f"{image:064x}",
        occurred_at=occurred,
        occurred_at_source=TimeSource.ENGINE,
        observed_at=occurred + timedelta(milliseconds=180),
        last_seen_running_at=occurred,
        request_id=f"{position.container:032x}",
    )


def record_ledger(connection: psycopg.Connection, events: int, topic: str) -> None:
    """Fill an empty ledger; commits nothing.

    Args:
        events: How many, the first of containers that come and go.
        topic: Where they belong.
    """
    encoder = EventEncoder(topic, topic, SOURCE)
    with connection.cursor().copy(_COPY_EVENTS) as copy:
        copy.set_types(_TYPES)
        for position in positions(events):
            event = event_at(position)
            encoded = encoder.encode(event, UUID(int=uuid_utils.uuid7().int))
            copy.write_row(
                (
                    encoded.event_id,
                    encoded.stream,
                    event.sequence,
                    str(event.type),
                    event.user_id,
                    event.image_id,
                    encoded.container_id,
                    encoded.topic,
                    encoded.key,
                    encoded.payload,
                    Jsonb([list(header) for header in encoded.headers]),
                    event.occurred_at,
                )
            )
