"""The aggregates in a transaction: saving one writes its state and the events it raised.

A lock is held until the transaction ends; `application.unit_of_work` tells in which order they are
taken.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from domain.build import Build
from domain.container import Container
from domain.image import Image


class ImageRepository(Protocol):
    """Images in this transaction."""

    def next_id(self) -> int: ...

    def lock_folder(self, image_id: int) -> None:
        """Let no sweep take the folder of an image that is not recorded yet."""

    def add(self, image: Image) -> None: ...

    def lock(self, image_id: int) -> Image:
        """Return the image, locked.

        Raises:
            NotFound: if there is none.
        """

    def save(self, image: Image) -> None:
        """Write its state and the events it raised."""

    def short_of_instances(self, limit: int) -> Sequence[int]:
        """Return images for whose min_instances something can be done now."""


class BuildRepository(Protocol):
    """Builds in this transaction."""

    def next_id(self) -> int: ...

    def add(self, build: Build) -> None:
        """Insert a queued build, due at once."""

    def lock(self, build_id: int) -> Build: ...

    def ids_of(self, image_id: int) -> Sequence[int]:
        """Return the ids of all builds that the image ever had."""

    def lock_unfinished(self, image_id: int) -> Build | None:
        """Return the image's queued or running build, locked, if there is one."""

    def save(self, build: Build) -> None: ...


class ContainerRepository(Protocol):
    """Containers in this transaction."""

    def next_id(self) -> int: ...

    def add(self, container: Container) -> None:
        """Insert a container that is desired but not made yet, due at once."""

    def lock(self, container_id: int) -> Container:
        """Return the container, locked.

        Raises:
            NotFound: if there is none.
            UnreadableRow: if a newer version wrote what this one does not know.
        """

    def image_id(self, container_id: int) -> int:
        """Return whose container it is, which is locked before it.

        Raises:
            NotFound: if there is none.
        """

    def of_image(self, image_id: int) -> Sequence[Container]:
        """Return the image's containers that are not deleted, ascending and not locked.

        While the image is locked none is added; what is to be changed is locked afterwards.
        """

    def lock_all_of(self, image_id: int) -> Sequence[Container]:
        """Return the image's containers that are not deleted, locked in ascending order."""

    def used_slots(self, image_id: int) -> Collection[int]:
        """Return the slots of the image's live containers; the image must be locked."""

    def save(self, container: Container) -> None:
        """Write its state and the events it raised."""

    def note_last_words(self, container_id: int, run_id: UUID, logs: str) -> None:
        """Add the last lines of a run that ended, if the container has not begun another since."""

    def is_missing(self, container_id: int) -> bool:
        """Return whether a complete list of a trusted engine lacked it, the last time one came."""
