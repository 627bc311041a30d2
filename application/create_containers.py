"""Create containers from an image: all that were asked for, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from application.errors import NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import Build
from domain.container import Container
from domain.container_spec import ContainerSpec
from domain.errors import ImageNotUsable, InvalidValue
from domain.events import Cause
from domain.image import Image
from domain.limits import MAX_INSTANCES
from domain.names import checked_container_name, checked_env, sanitised_container_name
from domain.wish import Wish


@dataclass(frozen=True, slots=True)
class CreateContainers:
    """Wish `count` containers of an image.

    Attributes:
        name: what their names begin with; None for the image's name.
        env: variables for their processes, beside PORT.
    """

    user_id: str
    image_id: int
    request_id: str
    name: str | None = None
    count: int = 1
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_INSTANCES:
            raise InvalidValue("count", f"must be from 1 to {MAX_INSTANCES}")
        checked_env(self.env)
        if self.name is not None:
            checked_container_name(self.name)


class CreateContainersHandler:
    """Carries out CreateContainers.

    Args:
        new_uid: returns a new random UUID.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        clock: Clock,
        new_uid: Callable[[], UUID],
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._new_uid = new_uid

    def handle(self, command: CreateContainers) -> list[int]:
        """Reserve slots, ports and names; returns the new containers' ids.

        Raises:
            NotFound: no such image of this user.
            ImageNotUsable: it has no good build, or is being deleted.
            InstanceLimitReached: not all of them fit.
            NoFreePort: the engine's ports are exhausted.
        """
        return self._transactions.run(lambda uow: self._create(uow, command))

    def _create(self, uow: UnitOfWork, command: CreateContainers) -> list[int]:
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        used = uow.containers.used_slots(image.id)
        build = uow.builds.lock(image.admit_containers(len(used), command.count))
        spec = _spec(uow, image, build, command)
        wish = Wish(Cause.API, command.request_id, self._clock())
        base_name = command.name or sanitised_container_name(image.spec.name)
        free_slots = [slot for slot in range(1, MAX_INSTANCES + 1) if slot not in used]
        created: list[int] = []
        for slot in free_slots[: command.count]:
            container_id = uow.containers.next_id()
            container = Container.create(
                container_id,
                self._new_uid(),
                spec,
                base_name,
                slot,
                uow.host_ports.reserve(spec.engine_id, container_id),
                wish,
            )
            uow.containers.add(container)
            created.append(container_id)
        return created


def _spec(uow: UnitOfWork, image: Image, build: Build, command: CreateContainers) -> ContainerSpec:
    if build.engine_id is None or build.docker_image_id is None:
        raise ImageNotUsable(image.status)
    return ContainerSpec(
        image_id=image.id,
        build_id=build.id,
        user_id=command.user_id,
        app_hostname=image.spec.app_hostname,
        engine_id=build.engine_id,
        host=uow.engines.host(build.engine_id),
        internal_port=image.spec.container_port,
        cpu_limit=image.spec.resources.cpu,
        memory_limit=image.spec.resources.memory,
        env=dict(command.env),
        image_digest=build.docker_image_id,
        restart_policy=image.spec.restart_policy,
    )
