"""A disk that a test can fill: a small tmpfs, for root on Linux."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import unavailable

# So many files and folders fit, however small they are.
_NAMES = 512


class SmallDisk:
    """A mounted file system of a few megabytes.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"
        self._names = path / "names"

    @property
    def free_bytes(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, left_bytes: int = 0) -> None:
        """Let somebody else take all the room but so many bytes."""
        with self._filler.open("ab", buffering=0) as filler:
            while self.free_bytes > left_bytes:
                try:
                    filler.write(b"x" * min(self.free_bytes - left_bytes, 1 << 20))
                except OSError:
                    return

    def fill_names(self) -> None:
        """Let somebody else make as many files as fit."""
        self._names.mkdir()
        with contextlib.suppress(OSError):
            for number in range(_NAMES):
                (self._names / str(number)).touch()

    def free(self) -> None:
        """Let them give it back."""
        self._filler.unlink(missing_ok=True)
        shutil.rmtree(self._names, ignore_errors=True)


@contextlib.contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a disk, and unmount it at the end."""
    if os.geteuid() != 0:
        unavailable("only root may mount a small disk")
    path.mkdir()
    options = f"size={size_bytes},nr_inodes={_NAMES},mode=0755"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        unavailable(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        # Lazily: whoever still has a file open there must not keep it for ever.
        subprocess.run(["umount", "--lazy", str(path)], check=True)
