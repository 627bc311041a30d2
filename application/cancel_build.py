"""Cancel the build of an image: at once if it only waits, by the worker that runs it otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from application.errors import NotFound
from application.ports import Clock, ContextStore
from application.unit_of_work import TransactionRunner, UnitOfWork


@dataclass(frozen=True, slots=True)
class CancelBuild:
    """Wish the queued or running build of a user's image ended."""

    user_id: str
    image_id: int
    request_id: str


class CancelBuildHandler:
    """Carries out CancelBuild; repeating it while the build is being ended changes nothing.

    The wish does not decide how the build ends: one that succeeds or fails before its worker hears
    of the wish has succeeded or failed.
    """

    def __init__(self, transactions: TransactionRunner, store: ContextStore, clock: Clock) -> None:
        self._transactions = transactions
        self._store = store
        self._clock = clock

    def handle(self, command: CancelBuild) -> int:
        """Record the wish; returns the build whose end a waiter waits for.

        Raises:
            NotFound: no such image of this user.
            ImageRefuses: no build of it is queued or runs, or it is in deletion.
        """
        return self._transactions.run(lambda uow: self._wish(uow, command))

    def _wish(self, uow: UnitOfWork, command: CancelBuild) -> int:
        now = self._clock()
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        image.request_cancel(command.request_id)
        build = uow.builds.lock_unfinished(image.id)
        assert build is not None  # noqa: S101 - an image is building while it has one
        build.request_cancel(now)
        if not build.is_finished and uow.leases.end_expired_build(build.id):
            # Between two attempts, or left behind by a dead worker: nobody is there to end it.
            build.cancel(self._store.log_tail(build.log_path), now)
        if build.is_finished:
            image.record_build_cancelled(build, now)
        uow.builds.save(build)
        uow.images.save(image)
        return build.id
