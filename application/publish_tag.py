"""Set an image's public tag to the result of a build, after that was recorded and under its lease.

Of each image one build at a time is leased, so nobody else sets the tag meanwhile. But a lease
fences PostgreSQL, not Docker: a worker that was paused between its last look and its call may set
the tag when it goes on, long after others did. It finds its lease lost then, and has the tag set
once more to what is in use by now. If it dies before, a sweep finds the tag (`mend_tags`).
"""

from __future__ import annotations

from application.errors import EngineRefused, EngineTransient, LeaseLost
from application.leased_engine import MARGIN_SECONDS
from application.leases import Lease, Settlement
from application.ports import ContainerEngine
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import Build
from domain.image import Image


class PublishTag:
    """The last step of a build."""

    def __init__(self, transactions: TransactionRunner, engine: ContainerEngine) -> None:
        self._transactions = transactions
        self._engine = engine

    def act(self, lease: Lease, image: Image, build: Build) -> None:
        """Set the tag, unless a later build or a deletion made it another's, and end the lease.

        Raises:
            LeaseLost: another worker took over; the tag is, or will be, as it should.
            EngineError: the tag is not set yet.
        """
        wanted = image.active_build_id == build.id and not image.is_deleting
        if not wanted or build.docker_image_id is None:
            self._transactions.run(lambda uow: _settle(uow, lease))
            return
        seconds = self._engine.limits.tag + MARGIN_SECONDS
        self._transactions.run(lambda uow: uow.leases.cover(lease, seconds))
        try:
            self._engine.tag(build.docker_image_id, image.public_tag)
        except EngineRefused as exc:
            # The build is good; only its tag is not set yet.
            raise EngineTransient(f"the public tag was refused: {exc}") from exc
        try:
            self._transactions.run(lambda uow: _settle(uow, lease))
        except LeaseLost:
            self._make_good(lease)
            raise

    def give_back_build_tag(self, lease: Lease) -> None:
        """Let a build's own tag stand for what is recorded of it, after a late result has taken it.

        Raises:
            EngineError: the tag is not set.
        """
        self.give_back(lease.image_id, lease.id)

    def give_back(self, image_id: int, build_id: int) -> None:
        """As above, of any build.

        Whoever has not recorded a result yet will tag it; what never gets one a sweep removes.

        Raises:
            EngineError: the tag is not set.
        """
        image, build = self._transactions.run(
            lambda uow: (uow.images.lock(image_id), uow.builds.lock(build_id))
        )
        tag = image.build_tag(build.id)
        if image.is_deleting:
            # Whoever removes it may have been past its tags already.
            self._engine.remove_tag(tag)
        elif build.docker_image_id is not None:
            self._engine.tag(build.docker_image_id, tag)

    def doubt(self, image_id: int, build_id: int) -> None:
        """Have the public tag set again if it is recorded as set to this build."""
        self._transactions.run(lambda uow: _doubt(uow, image_id, build_id))

    def _make_good(self, lease: Lease) -> None:
        image = self._transactions.run(lambda uow: _set_again(uow, lease.image_id))
        if image.is_deleting:
            # Whoever removes it may have been past its tags already.
            self._engine.remove_tag(image.public_tag)


def _settle(uow: UnitOfWork, lease: Lease) -> None:
    uow.images.lock(lease.image_id)
    uow.leases.hold(lease)
    build = uow.builds.lock(lease.id)
    build.mark_public_tag_set()
    uow.builds.save(build)
    uow.leases.settle(lease, Settlement.done())


def _doubt(uow: UnitOfWork, image_id: int, build_id: int) -> None:
    image = uow.images.lock(image_id)
    # What is not set yet is due already, or in hand.
    if image.active_build_id == build_id and uow.builds.lock(build_id).public_tag_set:
        _set_again(uow, image_id)


def _set_again(uow: UnitOfWork, image_id: int) -> Image:
    """Let the build in use be due for its tag, also if another worker is just setting that."""
    image = uow.images.lock(image_id)
    if image.active_build_id is not None and not image.is_deleting:
        build = uow.builds.lock(image.active_build_id)
        build.doubt_public_tag()
        uow.builds.save(build)
        uow.leases.start_build_over(build.id)
    return image
