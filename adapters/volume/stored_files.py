"""The files of uploads, images and builds as a sweep finds and removes them.

Only what has exactly the shape that `adapters/volume/context_store.py` gives it is seen at all. No
path is handed to the kernel as a whole: folders are opened one below the other, no link is followed
on the way, and none within what is removed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from application.leftovers import BuildLogFile, ImageFolder, StoredFile, Upload
from application.sweep_ports import FileState
from domain.names import MAX_USER_ID, USER_ID

_INCOMING = ".incoming"
_BUILDS = "builds"
_IN_IMAGE_FOLDER = frozenset({"context", _BUILDS})
# An upload or what is extracted of it, and what an extraction has not finished.
_UPLOAD = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\.extracting")
_IMAGE_ID = re.compile(r"[1-9][0-9]{0,17}")
_LOG = re.compile(r"([1-9][0-9]{0,17})\.log")

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class VolumeStoredFiles:
    """Uploads, image folders and build logs below one folder.

    Args:
        base: BUILD_CONTEXT_BASE_DIR.
    """

    def __init__(self, base: Path) -> None:
        self._base = base

    def found(self) -> list[StoredFile]:
        return [*self._uploads(), *self._of_images()]

    def state(self, file: StoredFile) -> FileState | None:
        try:
            with self._home(file) as (home, name):
                if isinstance(file, ImageFolder) and not _is_image_folder(home, name):
                    return None
                return _state(home, name)
        except OSError as exc:
            if _is_absence(exc):
                return None
            raise

    def set_aside(self, folder: ImageFolder) -> Upload | None:
        aside = Upload(uuid4().hex)
        with self._home(aside) as (incoming, new_name):
            try:
                with self._home(folder) as (home, name):
                    os.rename(name, new_name, src_dir_fd=home, dst_dir_fd=incoming)
            except FileNotFoundError:
                return None
        # Stays if other images of this user are, or just now move, in.
        with suppress(OSError):
            (self._base / folder.user_id).rmdir()
        return aside

    def put_back(self, aside: Upload, folder: ImageFolder) -> None:
        (self._base / folder.user_id).mkdir(exist_ok=True)
        with self._home(folder) as (home, name), self._home(aside) as (incoming, old_name):
            os.rename(old_name, name, src_dir_fd=incoming, dst_dir_fd=home)

    def remove(self, file: Upload | BuildLogFile) -> None:
        with suppress(FileNotFoundError), self._home(file) as (home, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=home, follow_symlinks=False).st_mode):
                doomed = name
                if isinstance(file, Upload):
                    # One that goes on after all finds all of it, or nothing.
                    doomed = uuid4().hex
                    os.rename(name, doomed, src_dir_fd=home, dst_dir_fd=home)
                shutil.rmtree(doomed, dir_fd=home)
            else:
                os.unlink(name, dir_fd=home)

    # ---- detail ----------------------------------------------------------------------------

    @contextmanager
    def _home(self, file: StoredFile) -> Iterator[tuple[int, str]]:
        """Yield the open folder that a file is in, and its name there."""
        match file:
            case Upload():
                parents, name = [_INCOMING], file.name
            case ImageFolder():
                parents, name = [file.user_id], str(file.image_id)
            case BuildLogFile():
                folder = file.folder
                parents = [folder.user_id, str(folder.image_id), _BUILDS]
                name = f"{file.build_id}.log"
        with _opened(self._base, *parents) as home:
            yield home, name

    def _uploads(self) -> Iterator[Upload]:
        for name in _names(self._base, _INCOMING):
            if _UPLOAD.fullmatch(name):
                yield Upload(name)

    def _of_images(self) -> Iterator[StoredFile]:
        for user_id in _names(self._base):
            if not USER_ID.fullmatch(user_id) or len(user_id) > MAX_USER_ID:
                continue
            for name in _names(self._base, user_id):
                if _IMAGE_ID.fullmatch(name):
                    yield from self._of_image(ImageFolder(user_id, int(name)))

    def _of_image(self, folder: ImageFolder) -> Iterator[StoredFile]:
        yield folder
        for name in _names(self._base, folder.user_id, str(folder.image_id), _BUILDS):
            if found := _LOG.fullmatch(name):
                yield BuildLogFile(folder, int(found[1]))


@contextmanager
def _opened(base: Path, *parts: str) -> Iterator[int]:
    """Open a folder below `base`, which alone may be a link.

    Raises:
        OSError: there is none (`_is_absence`); a link is none.
    """
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            inner = os.open(part, _OPEN_FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _is_absence(error: OSError) -> bool:
    return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def _names(base: Path, *parts: str) -> list[str]:
    """List a folder; what is none, or is gone, holds nothing."""
    try:
        with _opened(base, *parts) as folder:
            return _listed(folder)
    except OSError as exc:
        if parts and _is_absence(exc):
            return []
        raise


def _listed(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _is_image_folder(home: int, name: str) -> bool:
    """Whether nothing else is in it than a context and build logs."""
    folder = os.open(name, _OPEN_FOLDER, dir_fd=home)
    try:
        inner = set(_listed(folder))
        if not inner <= _IN_IMAGE_FOLDER or not all(_is_folder(folder, each) for each in inner):
            return False
        return _BUILDS not in inner or _holds_logs(folder)
    finally:
        os.close(folder)


def _holds_logs(folder: int) -> bool:
    builds = os.open(_BUILDS, _OPEN_FOLDER, dir_fd=folder)
    try:
        return all(_LOG.fullmatch(name) for name in _listed(builds))
    finally:
        os.close(builds)


def _is_folder(home: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=home, follow_symlinks=False).st_mode)


def _state(home: int, name: str) -> FileState | None:
    """Look at a file or at all of a folder; of anything else nothing is told."""
    seen = os.stat(name, dir_fd=home, follow_symlinks=False)
    if stat.S_ISREG(seen.st_mode):
        return _file_state(seen.st_mtime, seen.st_size)
    if not stat.S_ISDIR(seen.st_mode):
        return None
    newest, size = seen.st_mtime, 0
    for _, folders, files, folder in os.fwalk(name, dir_fd=home, onerror=_raise):
        for each in (*folders, *files):
            with suppress(FileNotFoundError):
                inner = os.stat(each, dir_fd=folder, follow_symlinks=False)
                newest = max(newest, inner.st_mtime)
                size += inner.st_size if stat.S_ISREG(inner.st_mode) else 0
    return _file_state(newest, size)


def _file_state(mtime: float, size_bytes: int) -> FileState:
    return FileState(datetime.fromtimestamp(mtime, UTC), size_bytes)


def _raise(error: OSError) -> None:
    raise error
