"""Remove what is left of a deleted image: its Docker tags, its context, its build logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from application.errors import (
    ApplicationError,
    EngineError,
    EngineInterrupted,
    EngineTransient,
    VolumeUnavailable,
    VolumeUntrusted,
)
from application.leased_engine import MARGIN_SECONDS
from application.leases import Lease, Settlement
from application.ports import Clock, ContainerEngine, ContextStore
from application.retries import settlement_after
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.image import Image

# A volume comes back when somebody mounts it.
VOLUME_SECONDS = 10.0


class RemoveImage:
    """Carries out claimed image removals; images are removed from Docker by our tags only.

    Args:
        note_setback: is told what engine or volume could not do, before it is decided what follows.
        check_volume: raises VolumeUntrusted unless the files are this installation's.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        engine: ContainerEngine,
        store: ContextStore,
        clock: Clock,
        note_setback: Callable[[Lease, ApplicationError], None],
        check_volume: Callable[[], None],
    ) -> None:
        self._transactions = transactions
        self._engine = engine
        self._store = store
        self._clock = clock
        self._note_setback = note_setback
        self._check_volume = check_volume

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
            self._remove_tags(lease, image, tags)
            self._remove_files(image)
        except (EngineError, VolumeUnavailable) as exc:
            error = exc
            if not isinstance(error, EngineInterrupted):
                self._note_setback(lease, error)
            self._transactions.run(lambda uow: self._postpone(uow, lease, error))
            return
        self._transactions.run(lambda uow: self._record(uow, lease, image.spec.app_hostname))

    def _remove_tags(self, lease: Lease, image: Image, tags: Sequence[str]) -> None:
        if tags and self._engine.engine_id() != image.engine_id:
            # Another engine knows none of the tags, which says nothing of the one that does.
            raise EngineTransient("another engine answers")
        for tag in tags:
            # It is looked at before.
            seconds = self._engine.limits.inspect + self._engine.limits.tag + MARGIN_SECONDS
            self._transactions.run(lambda uow: uow.leases.cover(lease, seconds))  # noqa: B023 - runs at once
            self._engine.remove_tag(tag)

    def _remove_files(self, image: Image) -> None:
        """Remove what is on the volume; on another one the same path is somebody else's image."""
        try:
            self._check_volume()
            self._store.remove(image.spec.user_id, image.id)
        except (OSError, VolumeUntrusted) as exc:
            raise VolumeUnavailable(str(exc)) from exc

    def _look(self, uow: UnitOfWork, lease: Lease) -> tuple[Image, list[str]]:
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        if image.engine_id is None:
            return image, []
        builds = uow.builds.ids_of(image.id)
        return image, [image.public_tag, *(image.build_tag(build_id) for build_id in builds)]

    def _postpone(
        self, uow: UnitOfWork, lease: Lease, error: EngineError | VolumeUnavailable
    ) -> None:
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        if isinstance(error, VolumeUnavailable):
            # Where it is, and whose, is the operator's to read.
            image.note_setback("the removal waits for the volume that its files are on")
            settlement = Settlement.again(VOLUME_SECONDS)
        else:
            settlement = settlement_after(error, lease.attempts)
            if not isinstance(error, EngineInterrupted):
                # That this worker ends is nothing that its user waits for.
                image.note_setback(str(error))
        uow.images.save(image)
        uow.leases.settle(lease, settlement)

    def _record(self, uow: UnitOfWork, lease: Lease, hostname: str) -> None:
        uow.hostnames.lock(hostname)
        uow.leases.hold(lease)
        image = uow.images.lock(lease.id)
        image.record_deleted(self._clock())
        uow.images.save(image)
        uow.hostnames.release_unheld(hostname)
        uow.leases.settle(lease, Settlement.done())
