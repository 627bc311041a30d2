"""What a sweep needs of the volume and of the database, implemented by adapters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.leftovers import BuildLogFile, ImageFolder, Recorded, StoredFile, Upload


@dataclass(frozen=True, slots=True)
class FileState:
    """A file, or a folder with all that is in it.

    Attributes:
        changed_at: when anything of it was written last.
    """

    changed_at: datetime
    size_bytes: int


class StoredFiles(Protocol):
    """Uploads, contexts and build logs on the volume; nothing of another shape is ever seen."""

    def found(self) -> Sequence[StoredFile]:
        """Return all of them.

        Raises:
            OSError: the volume cannot be read; what would be returned is not complete.
        """

    def state(self, file: StoredFile) -> FileState | None:
        """Look at one; None if it is gone, or holds what is not ours."""

    def set_aside(self, folder: ImageFolder) -> Upload | None:
        """Take the place of an image from its folder at once; None if it is gone already.

        Returns:
            What is to be removed now; cut short it is for the next sweep.
        """

    def put_back(self, aside: Upload, folder: ImageFolder) -> None:
        """Undo that a folder was set aside.

        Raises:
            OSError: it is still where it was set aside to, if it is anywhere.
        """

    def remove(self, file: Upload | BuildLogFile) -> None:
        """Remove one; gone already is no error.

        Raises:
            OSError: not all of it could be removed.
        """


class SweepRegister(Protocol):
    """What is recorded of what a sweep finds, and whose turn it is to make one."""

    def take_turn(self, engine_id: str, interval_seconds: float) -> bool:
        """Return whether a sweep is due, and this worker the one that makes it."""

    def refusal(self, engine_id: str) -> str | None:
        """Return why the engine is not to be touched, None if it may be."""

    def folder_locked(self, image_id: int) -> AbstractContextManager[Recorded | None]:
        """Let nobody record an image of this id meanwhile; tell what is recorded of it by now.

        None if somebody just does. It is a transaction, so what is done within has to be short.
        """

    def recorded(
        self,
        image_ids: Collection[int],
        build_ids: Collection[int],
        docker_image_ids: Collection[str],
    ) -> Recorded:
        """Return the images and the builds with these ids, and the builds that made these."""
