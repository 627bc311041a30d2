"""Plain examples of what the domain works with; a test changes what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.build import Build, LogTail
from domain.container import Container
from domain.container_spec import ContainerSpec
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause
from domain.image import Image
from domain.image_spec import ImageSpec
from domain.limits import InstanceLimits, ResourceLimits
from domain.observation import Observation
from domain.restart_policy import RestartBackoff
from domain.wish import Wish

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UID = UUID("0123456789abcdef0123456789abcdef")
DOCKER_ID = "d0c" * 21 + "d"
PORT = 20001
SLOT = 1
BACKOFF = RestartBackoff(first_seconds=10, ceiling_seconds=300)

IMAGE_SPEC = ImageSpec(
    user_id="user-1",
    name="My App",
    tag="latest",
    app_hostname="app.example.com",
    container_port=8080,
    instances=InstanceLimits(0, 3),
    resources=ResourceLimits(Decimal("0.5"), "512m"),
)

CONTAINER_SPEC = ContainerSpec(
    image_id=7,
    build_id=70,
    user_id="user-1",
    app_hostname="app.example.com",
    engine_id="engine-1",
    host="10.0.0.1",
    internal_port=8080,
    cpu_limit=Decimal("0.5"),
    memory_limit="512m",
    env={"MODE": "test"},
    image_digest="sha256:abc",
)


def after(seconds: float) -> datetime:
    """Return a time so many seconds past noon."""
    return NOON + timedelta(seconds=seconds)


def wish(request_id: str | None = "wish", at: float = 0.0, cause: Cause = Cause.API) -> Wish:
    """A wish that came so many seconds past noon."""
    return Wish(cause, request_id, after(at))


def new_image() -> Image:
    """An image whose first build, 70, is queued, with the event of that still in it."""
    return Image.upload(7, 70, IMAGE_SPEC, "user-1/7/context", now=NOON, request_id="upload")


def ended_build(build_id: int = 70, *, good: bool = True) -> Build:
    """A build of that image that is over."""
    build = Build.queue(build_id, 7, "user-1", "log", NOON)
    build.begin("engine-1", NOON)
    if good:
        build.succeed(f"sha256:{build_id}", LogTail("", truncated=False), after(1))
    else:
        build.fail("step 3 failed", LogTail("", truncated=False), after(1))
    return build


def ready_image() -> Image:
    """An image whose first build was good; its events are taken out."""
    image = new_image()
    image.record_built(ended_build(), after(1))
    image.events.clear()
    return image


def deleting_image() -> Image:
    """A ready image that was wished gone."""
    image = ready_image()
    image.request_delete(0, now=after(2), request_id="delete")
    return image


def new_container() -> Container:
    return Container.create(
        5,
        UID,
        CONTAINER_SPEC,
        "my-app",
        SLOT,
        PORT,
        wish("create"),
    )


def seen_running(started: float = 1.0, **changed: Any) -> Observation:
    """The container in Docker, in the run that started so many seconds past noon."""
    seen = Observation(
        docker_id=DOCKER_ID,
        name="my-app-01234567",
        uid=UID,
        installation_id="installation",
        spec_hash="hash",
        running=True,
        started_at=after(started),
        finished_at=None,
        exit_code=None,
        oom_killed=False,
        container_ip="172.17.0.2",
    )
    return replace(seen, **changed)


def seen_ended(
    finished: float | None = 9.0, *, exit_code: int = 0, oom_killed: bool = False
) -> Observation:
    """The container in Docker after its run."""
    return seen_running(
        running=False,
        finished_at=None if finished is None else after(finished),
        exit_code=exit_code,
        oom_killed=oom_killed,
        container_ip=None,
    )


def running_container() -> Container:
    """A container whose first run was told at 1 s and is open; its events are taken out."""
    container = new_container()
    container.record_running(seen_running(), after(2))
    container.events.clear()
    return container


def container_in(status: ContainerStatus, desired: Desired = Desired.RUNNING) -> Container:
    """A container rehydrated in a status, consistent with how it would have got there."""
    container = new_container()
    container.status, container.desired = status, desired
    if status is not ContainerStatus.CREATING:
        container.settled_generation = container.generation
    if status is ContainerStatus.CREATING:
        return container
    container.docker_id = DOCKER_ID
    if status in {ContainerStatus.FAILED, ContainerStatus.DELETED}:
        container.sequence, container.slot, container.external_port = 1, None, None
        return container
    container.sequence = 2
    container.last_run_id = seen_running().run_id
    if status in {ContainerStatus.RUNNING, ContainerStatus.STOPPING, ContainerStatus.DELETING}:
        container.open_run_id = container.last_run_id
    return container
