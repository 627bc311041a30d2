"""What an engine is told of a build, once its context has been seen on the volume."""

from __future__ import annotations

from collections.abc import Callable

from application.engine_calls import BuildOrder
from application.errors import BuildFailed, VolumeUnavailable, VolumeUntrusted
from application.ports import ContextStore
from domain.build import Build
from domain.image import Image


class OrderBuild:
    """Makes the orders of builds.

    Args:
        check_volume: raises VolumeUntrusted unless the volume with the contexts is there, however
            it is marked; asked only once a context is not.
        timeout_seconds: of each attempt.
    """

    def __init__(
        self, store: ContextStore, check_volume: Callable[[], None], *, timeout_seconds: float
    ) -> None:
        self._store = store
        self._check_volume = check_volume
        self._timeout_seconds = timeout_seconds

    def order(self, image: Image, build: Build) -> BuildOrder:
        """Return the order of a build whose context is there.

        Raises:
            BuildFailed: it is gone.
            VolumeUnavailable: that cannot be told, or all of them would be.
            DatabaseUnavailable: whose volume it should be is not known.
        """
        try:
            if self._store.has_context(image.source_path):
                return self._order(image, build)
            self._check_volume()
        except (OSError, VolumeUntrusted) as exc:
            raise VolumeUnavailable(str(exc)) from exc
        raise BuildFailed("the stored build context is gone: upload the image again")

    def _order(self, image: Image, build: Build) -> BuildOrder:
        return BuildOrder(
            build_id=build.id,
            image_id=image.id,
            user_id=build.user_id,
            context=self._store.path(image.source_path),
            log=self._store.path(build.log_path),
            tags=(image.build_tag(build.id),),
            timeout_seconds=self._timeout_seconds,
        )
