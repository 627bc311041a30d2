"""Remove one thing that a sweep found, after it was looked up once more.

The folder of an image is not recorded before its upload commits, and what that has written nobody
sees until then. So it is looked up under a lock that the upload takes, too, and loses its place by
one rename: an upload that comes later finds all of it, or nothing (`application/upload_image.py`).
"""

from __future__ import annotations

from collections.abc import Collection

from application.docker_names import DockerName, DockerTag, UntaggedImage
from application.errors import DatabaseUnavailable
from application.leftovers import BuildLogFile, ImageFolder, Recorded, StoredFile
from application.ports import ContainerEngine
from application.sweep_ports import StoredFiles, SweepRegister

Found = StoredFile | DockerName


def recorded_of(found: Collection[Found], register: SweepRegister) -> Recorded:
    """Return what the database says of everything that was found."""
    images: set[int] = set()
    builds: set[int] = set()
    docker_images: set[str] = set()
    for each in found:
        match each:
            case ImageFolder():
                images.add(each.image_id)
            case BuildLogFile():
                images.add(each.folder.image_id)
                builds.add(each.build_id)
            case DockerTag():
                images.add(each.image_id)
                builds.update(() if each.build_id is None else (each.build_id,))
            case UntaggedImage():
                docker_images.add(each.docker_image_id)
                builds.add(each.build_id)
    return register.recorded(images, builds, docker_images)


class RemoveLeftover:
    """Removes it from the volume or the engine."""

    def __init__(
        self, engine: ContainerEngine, files: StoredFiles, register: SweepRegister
    ) -> None:
        self._engine = engine
        self._files = files
        self._register = register

    def remove(self, found: Found) -> bool:
        """Remove it, unless it turns out to be needed; returns whether it is gone.

        Raises:
            EngineError, OSError: it is still there, or part of it.
            DatabaseUnavailable: whether it is needed is not known.
        """
        if isinstance(found, ImageFolder):
            return self._remove_folder(found)
        if found.is_needed(recorded_of([found], self._register)):
            return False
        match found:
            case DockerTag():
                self._engine.remove_tag(found.name)
            case UntaggedImage():
                self._engine.remove_image(found.docker_image_id)
            case _:
                self._files.remove(found)
        return True

    def _remove_folder(self, folder: ImageFolder) -> bool:
        aside = None
        try:
            with self._register.folder_locked(folder.image_id) as recorded:
                if recorded is None or folder.is_needed(recorded):
                    return False
                aside = self._files.set_aside(folder)
        except DatabaseUnavailable:
            # The lock may have ended with the session before the folder was taken: whoever was
            # stopped for long finds that out only now, and its upload may be recorded since.
            if aside is not None:
                self._files.put_back(aside, folder)
            raise
        if aside is not None:
            self._files.remove(aside)
        return True
