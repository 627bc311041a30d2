"""Keep min_instances: start what ended and was left alone, make what is missing, clear up failures.

Each image in a transaction of its own that locks it first, so that any number of workers may do
this at once: whoever comes second finds it done. What is made is carried out by the same code path
as what users ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from application.add_container import Place, add_container, places_in
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.container_status import ContainerStatus, Desired
from domain.errors import NoFreePort
from domain.events import Cause
from domain.image import Image
from domain.instances import Fleet, is_idle
from domain.restart_policy import RestartBackoff
from domain.wish import Wish

# Images that are seen to in one turn: others are due again in the next one.
IMAGES_A_TURN = 50


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done for an image; ids of containers."""

    started: Sequence[int] = ()
    created: Sequence[int] = ()
    cleared: Sequence[int] = ()


class KeepInstances:
    """Sees to it that each image has as many instances as it should.

    Args:
        new_uid: returns a new random UUID.
        backoff: how long an image rests after instances that failed, or found no host port.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        clock: Clock,
        new_uid: Callable[[], UUID],
        backoff: RestartBackoff | None = None,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._new_uid = new_uid
        self._backoff = backoff or RestartBackoff()

    def due(self) -> Sequence[int]:
        """Return ids of images for which something can be done now."""
        return self._transactions.run(lambda uow: uow.images.short_of_instances(IMAGES_A_TURN))

    def keep(self, image_id: int) -> Kept:
        """Do for one image what is due; nothing if another worker did it."""
        return self._transactions.run(lambda uow: self._keep(uow, image_id))

    def _keep(self, uow: UnitOfWork, image_id: int) -> Kept:
        image = uow.images.lock(image_id)
        if image.is_deleting:
            return Kept()
        wish = Wish(Cause.MIN_INSTANCES, None, self._clock())
        containers = uow.containers.of_image(image_id)
        due = image.instances_due(Fleet.of(containers), uow.now())
        idle = [each.id for each in containers if is_idle(each)][:due]
        # The build is locked before any container.
        room = min(due - len(idle), image.spec.instances.left(_live(containers)))
        places = places_in(uow, image, room) if room > 0 else ()
        started, cleared = _change(uow, idle, _outworn(containers), wish)
        return Kept(started, self._create(uow, image, places, wish), cleared)

    def _create(
        self, uow: UnitOfWork, image: Image, places: Sequence[Place], wish: Wish
    ) -> list[int]:
        """Make as many as there are host ports for."""
        created: list[int] = []
        for place in places:
            try:
                created.append(add_container(uow, place, self._new_uid(), wish))
            except NoFreePort as exc:
                # Nobody asks every second for what is not to be had.
                postponed = image.replenishment.postponed(str(exc), uow.now(), self._backoff)
                image.note_replenishment(postponed)
                uow.images.save(image)
                break
        return created


def _change(
    uow: UnitOfWork, idle: Sequence[int], outworn: Sequence[int], wish: Wish
) -> tuple[list[int], list[int]]:
    """Start and clear up, in ascending order; what has changed since it was read is left alone."""
    started: list[int] = []
    cleared: list[int] = []
    for container_id in sorted({*idle, *outworn}):
        container = uow.containers.lock(container_id)
        if container_id in outworn and container.request_delete(wish):
            cleared.append(container_id)
        elif is_idle(container) and container.request_start(wish):
            started.append(container_id)
        else:
            continue
        uow.containers.save(container)
    return started, cleared


def _live(containers: Sequence[Container]) -> int:
    return sum(each.slot is not None for each in containers)


def _outworn(containers: Sequence[Container]) -> Sequence[int]:
    """Return the failed ones that min_instances made, but the newest: that one tells why."""
    return [
        each.id
        for each in containers
        if each.status is ContainerStatus.FAILED
        and each.created_by is Cause.MIN_INSTANCES
        and each.desired is not Desired.DELETED
    ][:-1]
