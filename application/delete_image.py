"""Delete an image: its tags, context and logs go, by a worker, once nothing uses them."""

from __future__ import annotations

from dataclasses import dataclass

from application.errors import NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.events import Cause
from domain.wish import Wish


@dataclass(frozen=True, slots=True)
class DeleteImage:
    """Wish an image of a user gone."""

    user_id: str
    image_id: int
    request_id: str


class DeleteImageHandler:
    """Carries out DeleteImage; repeating it changes nothing."""

    def __init__(self, transactions: TransactionRunner, clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    def handle(self, command: DeleteImage) -> None:
        """Record the wish; a build that runs is cancelled, failed containers go with the image.

        Raises:
            NotFound: no such image of this user.
            ImageHasLiveContainers: containers of it are neither failed nor deleted.
        """
        self._transactions.run(lambda uow: self._wish(uow, command))

    def _wish(self, uow: UnitOfWork, command: DeleteImage) -> None:
        now = self._clock()
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        live = len(uow.containers.used_slots(image.id))
        if not image.request_delete(live, now=now, request_id=command.request_id):
            return
        build = uow.builds.lock_unfinished(image.id)
        if build is not None:
            build.request_cancel(now)
            uow.builds.save(build)
            if build.is_finished:
                image.record_build_cancelled(build, now)
        for container in uow.containers.lock_failed_of(image.id):
            container.request_delete(Wish(Cause.API, command.request_id, now))
            uow.containers.save(container)
        uow.images.save(image)
