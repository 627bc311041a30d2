"""Remove what is left of a deleted image: its Docker tags, its context, its build logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.errors import EngineError, EngineTransient
from application.leased_engine import MARGIN_SECONDS
from application.leases import Lease, Settlement
from application.ports import Clock, ContainerEngine, ContextStore
from application.retries import settlement_after
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.image import Image


class RemoveImage:
    """Carries out claimed image removals; images are removed from Docker by our tags only.

    Args:
        note_setback: is told what the engine could not do, before it is decided what follows.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        engine: ContainerEngine,
        store: ContextStore,
        clock: Clock,
        note_setback: Callable[[Lease, EngineError], None],
    ) -> None:
        self._transactions = transactions
        self._engine = engine
        self._store = store
        self._clock = clock
        self._note_setback = note_setback

    def claim(self, engine_id: str, limit: int) -> Sequence[Lease]:
        """Claim images in deletion that nothing uses any more."""
        return self._transactions.run(lambda uow: uow.leases.claim_image_removals(engine_id, limit))

    def act(self, lease: Lease) -> None:
        """Remove tags and files, then record that the image is gone.

        Raises:
            LeaseLost: another worker took over; nothing was recorded.
            DatabaseUnavailable: nothing was recorded; the lease runs out by itself.
        """
        image, tags = self._transactions.run(lambda uow: self._look(uow, lease))
        try:
            if tags and self._engine.engine_id() != image.engine_id:
                # Another engine knows none of the tags, which says nothing of the one that does.
                raise EngineTransient("another engine answers")
            for tag in tags:
                # It is looked at before.
                seconds = self._engine.limits.inspect + self._engine.limits.tag + MARGIN_SECONDS
                self._transactions.run(lambda uow: uow.leases.cover(lease, seconds))  # noqa: B023 - runs at once
                self._engine.remove_tag(tag)
        except EngineError as exc:
            error = exc
            self._note_setback(lease, error)
            self._transactions.run(lambda uow: self._postpone(uow, lease, error))
            return
        self._store.remove(image.spec.user_id, image.id)
        self._transactions.run(lambda uow: self._record(uow, lease, image.spec.app_hostname))

    def _look(self, uow: UnitOfWork, lease: Lease) -> tuple[Image, list[str]]:
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        if image.engine_id is None:
            return image, []
        builds = uow.builds.ids_of(image.id)
        return image, [image.public_tag, *(image.build_tag(build_id) for build_id in builds)]

    def _postpone(self, uow: UnitOfWork, lease: Lease, error: EngineError) -> None:
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        image.note_setback(str(error))
        uow.images.save(image)
        uow.leases.settle(lease, settlement_after(error, lease.attempts))

    def _record(self, uow: UnitOfWork, lease: Lease, hostname: str) -> None:
        uow.hostnames.lock(hostname)
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        image.record_deleted(self._clock())
        uow.images.save(image)
        uow.hostnames.release_unheld(hostname)
        uow.leases.settle(lease, Settlement.done())
