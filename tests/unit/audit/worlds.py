"""A healthy installation, small: a test changes the one thing it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from application.audit.records import (
    BuildRecord,
    ContainerRecord,
    EngineRecord,
    HeldPort,
    ImageRecord,
    LedgerEntry,
    State,
    Stream,
)
from domain.build import BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_status import ImageStatus
from domain.observation import Observation
from tests.unit.domain.samples import NOON, UID, seen_running

ENGINE = "engine-1"
DIGEST = "sha256:abc"
REPOSITORY = "nvidia-app-uuser-1-i7"
SEEN = seen_running()
TAGS: Mapping[str, str] = {f"{REPOSITORY}:latest": DIGEST, f"{REPOSITORY}:b70": DIGEST}

IMAGE = ImageRecord(
    id=7,
    user_id="user-1",
    app_hostname="app.example.com",
    status=ImageStatus.READY,
    max_instances=3,
    source_path="user-1/7/context",
    public_tag=f"{REPOSITORY}:latest",
    repository=REPOSITORY,
    active_build_id=70,
    engine_id=ENGINE,
    sequence=2,
    leased=False,
    due=False,
)

BUILD = BuildRecord(
    id=70,
    image_id=7,
    status=BuildStatus.SUCCEEDED,
    engine_id=ENGINE,
    docker_image_id=DIGEST,
    public_tag_set=True,
    finished_at=NOON,
    leased=False,
    due=False,
)

CONTAINER = ContainerRecord(
    id=5,
    uid=UID,
    image_id=7,
    build_id=70,
    engine_id=ENGINE,
    name=SEEN.name,
    status=ContainerStatus.RUNNING,
    desired=Desired.RUNNING,
    wished_at=NOON,
    slot=1,
    external_port=20001,
    docker_id=SEEN.docker_id,
    container_ip=SEEN.container_ip,
    open_run_id=SEEN.run_id,
    spec_hash=SEEN.spec_hash,
    sequence=2,
    leased=False,
    due=False,
    awaited=False,
    restarts=False,
)


def world(
    container: ContainerRecord | None = CONTAINER, image: ImageRecord = IMAGE, **changed: Any
) -> State:
    """One image with its build, and one container that runs."""
    containers = [] if container is None else [container]
    state = State(
        containers={each.id: each for each in containers},
        images={image.id: image},
        builds={BUILD.id: BUILD},
        ports=[HeldPort(each.engine_id, 20001, each.id) for each in containers],
        hostnames={image.app_hostname: image.user_id},
        engines={ENGINE: EngineRecord(ENGINE, None)},
    )
    return replace(state, **changed)


def in_status(status: ContainerStatus, **changed: Any) -> ContainerRecord:
    """The container in a status, with what follows from that."""
    over = status in {ContainerStatus.FAILED, ContainerStatus.DELETED}
    runs = status in {ContainerStatus.RUNNING, ContainerStatus.STOPPING}
    record = replace(
        CONTAINER,
        status=status,
        slot=None if over else 1,
        external_port=None if over else 20001,
        open_run_id=CONTAINER.open_run_id if runs else None,
        container_ip=CONTAINER.container_ip if runs else None,
    )
    return replace(record, **changed)


def run(number: int) -> UUID:
    """The id of a container's run."""
    return uuid5(UID, str(number))


def entry(sequence: int, type_: str, status: str, **changed: Any) -> LedgerEntry:
    """An event; ids and times rise with the sequence."""
    event_id = uuid4()
    made = LedgerEntry(
        id=100 + sequence,
        event_id=event_id,
        sequence=sequence,
        type=type_,
        occurred_at=NOON + timedelta(seconds=sequence),
        status=status,
        run_id=SEEN.run_id if type_.startswith("container.") else None,
        told_event_id=event_id,
        told_sequence=sequence,
    )
    return replace(made, **changed)


def container_stream(*entries: LedgerEntry) -> Stream:
    """The stream of the container; without entries, how it came to run."""
    came_up = (
        entry(1, "container.created", "running"),
        entry(2, "container.started", "running"),
    )
    return Stream("container/5", entries or came_up)


def image_stream(*entries: LedgerEntry) -> Stream:
    """The stream of the image; without entries, how it became ready."""
    built = (entry(1, "image.build_started", "building"), entry(2, "image.ready", "ready"))
    return Stream("image/7", entries or built)


def seen_otherwise(**changed: Any) -> Observation:
    return replace(SEEN, **changed)
