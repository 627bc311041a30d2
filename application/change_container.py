"""Start, stop or delete a container: record what is desired of it; a worker makes it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from application.errors import NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.events import Cause
from domain.instances import is_wished_running
from domain.wish import Wish


@dataclass(frozen=True, slots=True)
class ChangeContainer:
    """Wish a container of a user running, stopped or deleted."""

    user_id: str
    container_id: int
    desired: Desired
    request_id: str


class ChangeContainerHandler:
    """Carries out ChangeContainer; repeating a wish changes nothing."""

    def __init__(self, transactions: TransactionRunner, clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    def handle(self, command: ChangeContainer) -> int:
        """Record the wish; returns the generation that a waiter waits for.

        Raises:
            NotFound: no such container of this user.
            ContainerRefuses: its state cannot take the wish.
            BelowMinInstances: a stop that would leave too few wished running.
        """
        return self._transactions.run(lambda uow: self._wish(uow, command))

    def _wish(self, uow: UnitOfWork, command: ChangeContainer) -> int:
        if command.desired is Desired.STOPPED:
            return self._stop(uow, command)
        return self._record(uow, command)

    def _stop(self, uow: UnitOfWork, command: ChangeContainer) -> int:
        """Record a stop, one at a time for each image: together they must leave enough."""
        image = uow.images.lock(uow.containers.image_id(command.container_id))
        others = [
            each for each in uow.containers.of_image(image.id) if each.id != command.container_id
        ]
        left = sum(is_wished_running(each) for each in others)
        return self._record(uow, command, lambda: image.admit_stop(left))

    def _record(
        self, uow: UnitOfWork, command: ChangeContainer, admit: Callable[[], None] | None = None
    ) -> int:
        container = uow.containers.lock(command.container_id)
        gone = container.status is ContainerStatus.DELETED
        if container.spec.user_id != command.user_id or gone:
            raise NotFound("container")
        if _wished(container, command.desired, Wish(Cause.API, command.request_id, self._clock())):
            if admit is not None:
                admit()
            uow.containers.save(container)
        return container.generation


def _wished(container: Container, desired: Desired, wish: Wish) -> bool:
    if desired is Desired.RUNNING:
        return container.request_start(wish)
    if desired is Desired.STOPPED:
        return container.request_stop(wish)
    return container.request_delete(wish)
