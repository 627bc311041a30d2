"""Rebuild an image from its stored context; what runs of it, and what may be created, goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from application.errors import InsufficientStorage, NotFound
from application.ports import Clock, ContextStore, DiskSpace
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import Build
from domain.events import Cause
from domain.image import Image


@dataclass(frozen=True, slots=True)
class RebuildImage:
    """Wish another build of a user's image."""

    user_id: str
    image_id: int
    request_id: str


class RebuildImageHandler:
    """Carries out RebuildImage."""

    def __init__(
        self,
        transactions: TransactionRunner,
        store: ContextStore,
        space: DiskSpace,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._store = store
        self._space = space
        self._clock = clock

    def handle(self, command: RebuildImage) -> int:
        """Queue the build; returns its id.

        The last good build stays in use until this one has succeeded, and if it does not.

        Raises:
            NotFound: no such image of this user.
            ImageRefuses: while it builds, or in deletion.
            InsufficientStorage: the build would have to wait for room on the volume.
        """
        return self._transactions.run(lambda uow: self._queue(uow, command))

    def _queue(self, uow: UnitOfWork, command: RebuildImage) -> int:
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        build_id = queue_rebuild(
            uow, self._store, image, now=self._clock(), request_id=command.request_id
        )
        if self._space.shortage() is not None:
            # After what no room would help with; nothing of this transaction is kept.
            raise InsufficientStorage(
                "the service is short of disk space: no build begins until there is room again"
            )
        uow.images.save(image)
        return build_id


def queue_rebuild(
    uow: UnitOfWork,
    store: ContextStore,
    image: Image,
    *,
    now: datetime,
    request_id: str | None,
    cause: Cause = Cause.API,
) -> int:
    """Queue a build of an image that is locked, and will be saved; returns the build's id.

    Raises:
        ImageRefuses: while it builds, or in deletion.
    """
    user_id = image.spec.user_id
    build_id = uow.builds.next_id()
    image.request_rebuild(build_id, now=now, request_id=request_id, cause=cause)
    log_path = store.log_path(user_id, image.id, build_id)
    # Where the build in use is: an image's tags are looked for on one engine alone.
    engine_id = None if image.active_build_id is None else image.engine_id
    uow.builds.add(Build.queue(build_id, image.id, user_id, log_path, now, engine_id))
    return build_id
