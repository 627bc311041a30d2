"""Declare an engine gone for good: whatever was on it is told as ended, and nothing waits for it.

It is put in quarantine first, so that no worker acts on it even if it comes back; images lose their
builds on it before their containers go, so that no new one is created from them meanwhile; those
that were ready are built again, on whichever engine is there. Each
image, and each few containers, is one transaction: a declaration that was cut short is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from application.container_outcomes import PORT_COOL_DOWN_SECONDS
from application.leases import Leased
from application.ports import Clock, ContextStore
from application.rebuild_image import queue_rebuild
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.container_status import ContainerStatus
from domain.events import Cause

# By its heartbeat, which workers renew each 5 s: longer than any engine takes to restart.
UNREACHED_SECONDS = 60.0

_CHUNK = 50
_TOLD = "the engine that held its build is lost: rebuild it"


class LostEngines(Protocol):
    """What is recorded of an engine that is to be declared lost."""

    def declare(self, engine_id: str, reason: str, unreached_seconds: float) -> None:
        """Put it in quarantine.

        Raises:
            NotFound: there is no such engine.
            CommandRefused: a worker reached it within so many seconds; nothing changed.
        """

    def image_ids(self, engine_id: str) -> Sequence[int]:
        """Return images that are not deleted, and on it or with a build on it; ascending."""

    def build_ids(self, engine_id: str, image_id: int) -> Sequence[int]:
        """Return builds of an image on it with which something is still to be done; ascending."""

    def container_ids(self, engine_id: str, limit: int) -> Sequence[int]:
        """Return containers on it that are not deleted, at most so many; ascending."""


@dataclass(frozen=True, slots=True)
class DeclareEngineLost:
    """An operator knows that an engine will not come back.

    Attributes:
        reason: why, for whoever reads the quarantine later.
    """

    engine_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LostSoFar:
    """How far a declaration has come."""

    images: int = 0
    containers: int = 0


class DeclareEngineLostHandler:
    """Carries out DeclareEngineLost; repeating it goes on where it ended."""

    def __init__(
        self,
        transactions: TransactionRunner,
        lost_engines: LostEngines,
        store: ContextStore,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._lost_engines = lost_engines
        self._store = store
        self._clock = clock

    def handle(self, command: DeclareEngineLost) -> Iterator[LostSoFar]:
        """Yield how far it has come after each transaction, the declaration itself first.

        Raises:
            NotFound: there is no such engine.
            CommandRefused: a worker reached it within the last 60 s.
        """
        engine_id = command.engine_id
        self._lost_engines.declare(engine_id, command.reason, UNREACHED_SECONDS)
        images = containers = 0
        yield LostSoFar()
        for image_id in self._lost_engines.image_ids(engine_id):
            self._transactions.run(self._losing_image(engine_id, image_id))
            images += 1
            yield LostSoFar(images, containers)
        while ids := self._lost_engines.container_ids(engine_id, _CHUNK):
            containers += self._transactions.run(self._losing_containers(ids))
            yield LostSoFar(images, containers)

    def _losing_image(self, engine_id: str, image_id: int) -> Callable[[UnitOfWork], None]:
        def work(uow: UnitOfWork) -> None:
            image = uow.images.lock(image_id)
            if image.is_deleted:
                return
            active_id = image.active_build_id
            active = None if active_id is None else uow.builds.lock(active_id)
            now = self._clock()
            needs_build = image.lose_engine(engine_id, active, _TOLD, now)
            for build_id in self._lost_engines.build_ids(engine_id, image_id):
                build = uow.builds.lock(build_id)
                due = not build.is_finished
                if due:
                    build.lose_engine()
                    uow.builds.save(build)
                uow.leases.revoke(Leased.BUILD, build_id, due=due)
            if needs_build:
                queue_rebuild(
                    uow, self._store, image, now=now, request_id=None, cause=Cause.RECONCILER
                )
            uow.images.save(image)
            if image.is_deleting:
                uow.leases.revoke(Leased.IMAGE, image_id, due=True)

        return work

    def _losing_containers(self, ids: Sequence[int]) -> Callable[[UnitOfWork], int]:
        def work(uow: UnitOfWork) -> int:
            lost = 0
            for container_id in ids:
                container = uow.containers.lock(container_id)
                if container.status is ContainerStatus.DELETED:
                    continue
                container.lose_engine(self._clock())
                uow.containers.save(container)
                uow.host_ports.release(container_id, PORT_COOL_DOWN_SECONDS)
                uow.leases.revoke(Leased.CONTAINER, container_id, due=False)
                lost += 1
            return lost

        return work
