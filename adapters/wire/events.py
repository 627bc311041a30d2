"""Lifecycle events as consumers read them: a JSON value, a key, and CloudEvents headers.

The first ten keys of a container event are those that consumers of the topic already know and
never change; the rest was added. No key is ever absent, unknown is null. Headers follow
CloudEvents 1.0 in Kafka's binary content mode, with the extension `sequence`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from domain.events import ContainerEvent, Event, ImageEvent

SCHEMA_VERSION = 1


class ContainerEventBody(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a message on the topic container-lifecycle."""

    event: str
    user_id: str
    container_id: str | None
    container_name: str
    container_ip: str | None
    image_id: int
    internal_port: int
    external_port: int | None
    app_hostname: str
    timestamp: datetime
    event_id: UUID
    sequence: int
    schema_version: int
    id: int
    previous_status: str | None
    status: str
    cause: str
    run_id: UUID | None
    exit_code: int | None
    oom_killed: bool | None
    host: str
    cpu_limit: float
    memory_limit: str
    image_digest: str
    occurred_at: datetime
    occurred_at_source: str
    observed_at: datetime
    last_seen_running_at: datetime | None
    request_id: str | None


class ImageEventBody(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a message on the topic image-lifecycle."""

    event: str
    user_id: str
    image_id: int
    name: str
    tag: str
    app_hostname: str
    build_id: int | None
    image_digest: str | None
    timestamp: datetime
    event_id: UUID
    sequence: int
    schema_version: int
    previous_status: str | None
    status: str
    status_reason: str | None
    cause: str
    occurred_at: datetime
    request_id: str | None


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event as it is stored and published, made once.

    Attributes:
        stream: the ordering unit, `container/{id}` or `image/{id}`.
        key: the Kafka key, the image's id as text, so that an app's instances share a partition.
    """

    event_id: UUID
    stream: str
    container_id: int | None
    topic: str
    key: str
    payload: bytes
    headers: tuple[tuple[str, str], ...]


class EventEncoder:
    """Encodes events for the topics of one installation.

    Args:
        container_topic: where container events go.
        image_topic: where image events go.
        source: CloudEvents' `source`, a URI reference that names this installation.
    """

    def __init__(self, container_topic: str, image_topic: str, source: str) -> None:
        self._container_topic = container_topic
        self._image_topic = image_topic
        self._source = source
        self._json = msgspec.json.Encoder()

    def encode(self, event: Event, event_id: UUID) -> EncodedEvent:
        """Encode one event under the id that consumers deduplicate by."""
        if isinstance(event, ContainerEvent):
            stream, topic = f"container/{event.container_id}", self._container_topic
            body: msgspec.Struct = _container_body(event, event_id)
            container_id: int | None = event.container_id
        else:
            stream, topic = f"image/{event.image_id}", self._image_topic
            body, container_id = _image_body(event, event_id), None
        return EncodedEvent(
            event_id=event_id,
            stream=stream,
            container_id=container_id,
            topic=topic,
            key=str(event.image_id),
            payload=self._json.encode(body),
            headers=self._headers(event, event_id, stream),
        )

    def _headers(self, event: Event, event_id: UUID, stream: str) -> tuple[tuple[str, str], ...]:
        return (
            ("content-type", "application/json"),
            ("ce_specversion", "1.0"),
            ("ce_id", str(event_id)),
            ("ce_source", self._source),
            ("ce_type", event.type),
            ("ce_subject", stream),
            ("ce_time", event.occurred_at.isoformat().replace("+00:00", "Z")),
            ("ce_sequence", str(event.sequence)),
        )


def _container_body(event: ContainerEvent, event_id: UUID) -> ContainerEventBody:
    return ContainerEventBody(
        event=event.type,
        user_id=event.user_id,
        container_id=event.docker_id,
        container_name=event.name,
        container_ip=event.container_ip,
        image_id=event.image_id,
        internal_port=event.internal_port,
        external_port=event.external_port,
        app_hostname=event.app_hostname,
        timestamp=event.occurred_at,
        event_id=event_id,
        sequence=event.sequence,
        schema_version=SCHEMA_VERSION,
        id=event.container_id,
        previous_status=event.previous_status,
        status=event.status,
        cause=event.cause,
        run_id=event.run_id,
        exit_code=event.exit_code,
        oom_killed=event.oom_killed,
        host=event.host,
        cpu_limit=float(event.cpu_limit),
        memory_limit=event.memory_limit,
        image_digest=event.image_digest,
        occurred_at=event.occurred_at,
        occurred_at_source=event.occurred_at_source,
        observed_at=event.observed_at,
        last_seen_running_at=event.last_seen_running_at,
        request_id=event.request_id,
    )


def _image_body(event: ImageEvent, event_id: UUID) -> ImageEventBody:
    return ImageEventBody(
        event=event.type,
        user_id=event.user_id,
        image_id=event.image_id,
        name=event.name,
        tag=event.tag,
        app_hostname=event.app_hostname,
        build_id=event.build_id,
        image_digest=event.image_digest,
        timestamp=event.occurred_at,
        event_id=event_id,
        sequence=event.sequence,
        schema_version=SCHEMA_VERSION,
        previous_status=event.previous_status,
        status=event.status,
        status_reason=event.status_reason,
        cause=event.cause,
        occurred_at=event.occurred_at,
        request_id=event.request_id,
    )
