"""Build contexts and build logs on a volume that api and workers share.

    .installation                         whose all of it is (`installation_mark.py`)
    .incoming/                            what is being uploaded or extracted
    {user_id}/{image_id}/context/         an image's build context, complete since its rename
    {user_id}/{image_id}/builds/{id}.log  the log of one build, written live

A context appears by one rename on the same file system, so it is never seen half.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from uuid import uuid4

from adapters.volume.disk_space import full_disk_translated
from domain.build import LOG_TAIL_CHARACTERS, LogTail

_MAKE_ATTEMPTS = 5
INCOMING = ".incoming"
# UTF-8 takes up to four bytes a character.
_TAIL_BYTES = LOG_TAIL_CHARACTERS * 4


class VolumeContextStore:
    """Contexts and logs below one folder.

    Args:
        base: BUILD_CONTEXT_BASE_DIR; made if it is missing.
    """

    def __init__(self, base: Path) -> None:
        self._base = base

    def prepare(self) -> None:
        """Make the folders that uploads need.

        Raises:
            OSError: the volume is missing or not writable.
        """
        (self._base / INCOMING).mkdir(parents=True, exist_ok=True)

    def incoming(self) -> Path:
        return self._base / INCOMING / uuid4().hex

    def store(self, extracted: Path, user_id: str, image_id: int) -> str:
        relative = Path(user_id, str(image_id), "context")
        home = self._base / relative.parent
        with full_disk_translated():
            _make_home(home)
            try:
                (home / "builds").mkdir()
                extracted.rename(self._base / relative)
                for folder in (home, home.parent, self._base):
                    sync_folder(folder)
            except OSError:
                # Nothing of an upload that is refused is left.
                shutil.rmtree(home, ignore_errors=True)
                raise
        return str(relative)

    def discard(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def path(self, relative: str) -> Path:
        return self._base / relative

    def has_context(self, relative: str) -> bool:
        try:
            # Not `is_dir`: from Python 3.14 on that takes what cannot be read for missing.
            return stat.S_ISDIR(self.path(relative).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def log_path(self, user_id: str, image_id: int, build_id: int) -> str:
        return str(Path(user_id, str(image_id), "builds", f"{build_id}.log"))

    def log_tail(self, relative: str) -> LogTail:
        try:
            with self.path(relative).open("rb") as log:
                size = os.fstat(log.fileno()).st_size
                log.seek(max(size - _TAIL_BYTES, 0))
                text = log.read(_TAIL_BYTES).decode(errors="replace").replace("\0", "")
        except OSError:
            # There is none yet, or the volume stumbles, which costs no build its outcome.
            return LogTail("", truncated=False)
        tail = LogTail.of(text)
        return LogTail(tail.text, tail.truncated or size > _TAIL_BYTES)

    def remove(self, user_id: str, image_id: int) -> None:
        home = self._base / user_id / str(image_id)
        if home.exists():
            shutil.rmtree(home)
        # Stays if other images of this user are, or just now move, in.
        with contextlib.suppress(OSError):
            home.parent.rmdir()


def _make_home(home: Path) -> None:
    """Make an image's folder, also while the user's folder is just being removed as empty."""
    for _ in range(_MAKE_ATTEMPTS - 1):
        with contextlib.suppress(FileNotFoundError):
            home.mkdir(parents=True)
            return
    home.mkdir(parents=True)


def sync_folder(folder: Path) -> None:
    """Let what was just named in a folder outlive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
