"""Create containers from an image: all that were asked for, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from application.add_container import add_container, places_in
from application.errors import NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.errors import InvalidValue
from domain.events import Cause
from domain.limits import MAX_INSTANCES
from domain.names import checked_container_name, checked_env
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
        wish = Wish(Cause.API, command.request_id, self._clock())
        places = places_in(uow, image, command.count, env=command.env)
        return [
            add_container(uow, place, self._new_uid(), wish, name=command.name) for place in places
        ]
