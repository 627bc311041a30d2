"""Change an image's limits and restart policy after its upload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from application.errors import InvalidForm, NotFound
from application.ports import Clock
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container import Container
from domain.errors import ImageInDeletion, InvalidValue
from domain.image import Image
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy


@dataclass(frozen=True, slots=True)
class ChangeImage:
    """Change what is given; what is None stays."""

    user_id: str
    image_id: int
    min_instances: int | None = None
    max_instances: int | None = None
    cpu_limit: Decimal | None = None
    memory_limit: str | None = None
    restart_policy: RestartPolicy | None = None


class ChangeImageHandler:
    """Carries out ChangeImage: the number of containers at once, the rest for new containers.

    Args:
        ceiling: the most that one container may be given, MAX_CPU_LIMIT and MAX_MEMORY_LIMIT.
    """

    def __init__(
        self, transactions: TransactionRunner, clock: Clock, ceiling: ResourceLimits
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._ceiling = ceiling

    def handle(self, command: ChangeImage) -> None:
        """Record the change.

        Raises:
            NotFound: no such image of this user.
            ImageInDeletion: nothing of it is changed any more.
            InvalidForm: with all that is wrong with the values.
            MaxBelowLiveContainers: more containers live than are to be allowed.
        """
        self._transactions.run(lambda uow: self._change(uow, command))

    def _change(self, uow: UnitOfWork, command: ChangeImage) -> None:
        image = uow.images.lock(command.image_id)
        if image.spec.user_id != command.user_id or image.is_deleted:
            raise NotFound("image")
        if image.is_deleting:
            raise ImageInDeletion
        instances, resources = self._checked(image, command)
        # A new maximum touches each of them, by their constraint: in ascending order.
        live = [each for each in uow.containers.lock_all_of(image.id) if each.slot is not None]
        image.reconfigure(
            instances,
            resources,
            command.restart_policy or image.spec.restart_policy,
            live=len(live),
            now=self._clock(),
        )
        _close_ranks(uow, instances, live)
        uow.images.save(image)

    def _checked(self, image: Image, command: ChangeImage) -> tuple[InstanceLimits, ResourceLimits]:
        spec, ceiling = image.spec, self._ceiling
        instances, resources = spec.instances, spec.resources
        minimum, maximum = command.min_instances, command.max_instances
        problems: list[tuple[str, str]] = []

        def check(read: Callable[[], object]) -> None:
            try:
                read()
            except InvalidValue as exc:
                problems.append((exc.field, exc.message))

        def limits() -> InstanceLimits:
            return InstanceLimits(
                instances.minimum if minimum is None else minimum,
                instances.maximum if maximum is None else maximum,
            )

        check(limits)
        # A value that stays was within the ceiling of its day.
        cpu, memory = command.cpu_limit, command.memory_limit
        if cpu is not None:
            check(lambda: ResourceLimits(cpu, ceiling.memory).within(ceiling))
        if memory is not None:
            check(lambda: ResourceLimits(ceiling.cpu, memory).within(ceiling))
        if problems:
            raise InvalidForm(problems)
        return limits(), ResourceLimits(cpu or resources.cpu, memory or resources.memory)


def _close_ranks(uow: UnitOfWork, instances: InstanceLimits, live: Sequence[Container]) -> None:
    """Move containers out of the slots that are no more: those are numbered from 1 to maximum."""
    used = {each.slot for each in live if each.slot is not None}
    above = [each for each in live if each.slot is not None and each.slot > instances.maximum]
    for container, slot in zip(above, instances.free_slots(used), strict=False):
        container.move_to_slot(slot)
        uow.containers.save(container)
