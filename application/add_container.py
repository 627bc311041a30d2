"""Add a container to a locked image: whoever asks for it, a user or min_instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from application.unit_of_work import UnitOfWork
from domain.container import Container
from domain.container_spec import ContainerSpec
from domain.errors import ImageNotUsable
from domain.image import Image
from domain.names import sanitised_container_name
from domain.wish import Wish


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one more container of an image.

    Attributes:
        base_name: what its name begins with unless the user says otherwise.
    """

    spec: ContainerSpec
    slot: int
    base_name: str


def places_in(
    uow: UnitOfWork, image: Image, count: int, *, env: Mapping[str, str] | None = None
) -> Sequence[Place]:
    """Find room for `count` more containers of a locked image, made from its last good build.

    Raises:
        ImageNotUsable: it has no good build, or is being deleted.
        InstanceLimitReached: not all of them fit.
    """
    used = uow.containers.used_slots(image.id)
    build = uow.builds.lock(image.admit_containers(len(used), count))
    if build.engine_id is None or build.docker_image_id is None:
        raise ImageNotUsable(image.status)
    spec = ContainerSpec(
        image_id=image.id,
        build_id=build.id,
        user_id=image.spec.user_id,
        app_hostname=image.spec.app_hostname,
        engine_id=build.engine_id,
        host=uow.engines.host(build.engine_id),
        internal_port=image.spec.container_port,
        cpu_limit=image.spec.resources.cpu,
        memory_limit=image.spec.resources.memory,
        env=dict(env or {}),
        image_digest=build.docker_image_id,
        restart_policy=image.spec.restart_policy,
    )
    base_name = sanitised_container_name(image.spec.name)
    return [Place(spec, slot, base_name) for slot in image.spec.instances.free_slots(used)[:count]]


def add_container(
    uow: UnitOfWork, place: Place, uid: UUID, wish: Wish, *, name: str | None = None
) -> int:
    """Reserve a host port and insert the container; returns its id.

    Raises:
        NoFreePort: the engine's ports are exhausted; nothing was inserted.
    """
    container_id = uow.containers.next_id()
    port = uow.host_ports.reserve(place.spec.engine_id, container_id)
    uow.containers.add(
        Container.create(
            container_id, uid, place.spec, name or place.base_name, place.slot, port, wish
        )
    )
    return container_id
