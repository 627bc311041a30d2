"""Delete an image: its tags, context and logs go, by a worker, once nothing uses them."""

from __future__ import annotations

from dataclasses import dataclass

from application.errors import NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.events import Cause
from domain.wish import Wish


@dataclass(frozen=True, slots=True)
class DeleteImage:
    """Wish an image of a user gone.

    Attributes:
        force: whether all its containers are wished gone with it.
    """

    user_id: str
    image_id: int
    request_id: str
    force: bool = False


class DeleteImageHandler:
    """Carries out DeleteImage; repeating it changes nothing."""

    def __init__(self, transactions: TransactionRunner, clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    def handle(self, command: DeleteImage) -> None:
        """Record the wish, and with it that of whatever goes with the image.

        A build that runs is cancelled. Failed containers go with the image, and so do those that
        min_instances made: nobody asked for them. Live ones of a user go only if that is forced.

        Raises:
            NotFound: no such image of this user.
            ImageHasLiveContainers: containers of it that a user made live, and it is not forced.
        """
        self._transactions.run(lambda uow: self._wish(uow, command))

    def _wish(self, uow: UnitOfWork, command: DeleteImage) -> None:
        now = self._clock()
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        if image.is_deleting:
            return
        build = uow.builds.lock_unfinished(image.id)
        containers = uow.containers.lock_all_of(image.id)
        live = 0 if command.force else sum(map(_stays, containers))
        image.request_delete(live, now=now, request_id=command.request_id)
        if build is not None:
            build.request_cancel(now)
            uow.builds.save(build)
            if build.is_finished:
                image.record_build_cancelled(build, now)
        wish = Wish(Cause.API, command.request_id, now)
        for container in containers:
            if container.request_delete(wish):
                uow.containers.save(container)
        uow.images.save(image)


def _stays(container: Container) -> bool:
    """Whether it lives, and a user made it."""
    return container.slot is not None and container.created_by is not Cause.MIN_INSTANCES
