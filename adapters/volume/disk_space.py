"""How much room the volume has, and what it means to a caller that there is none."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from application.errors import InsufficientStorage

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class VolumeDiskSpace:
    """The room below one folder, as a process without privileges may use it.

    Args:
        base: BUILD_CONTEXT_BASE_DIR.
        minimum_bytes: MIN_FREE_DISK_BYTES; 0 for no limit.
    """

    def __init__(self, base: Path, minimum_bytes: int) -> None:
        self._base = base
        self._minimum_bytes = minimum_bytes

    def shortage(self) -> str | None:
        if self._has(0):
            return None
        return f"less than {self._minimum_bytes} bytes are free on the volume (MIN_FREE_DISK_BYTES)"

    def admit(self, coming_bytes: int = 0) -> None:
        """Check that so many bytes may still be written.

        Raises:
            InsufficientStorage: less than the minimum would be left.
        """
        if not self._has(coming_bytes):
            raise InsufficientStorage(
                "the service is short of disk space: uploads are refused until there is room again"
            )

    def _has(self, coming_bytes: int) -> bool:
        if not self._minimum_bytes:
            return True
        try:
            volume = os.statvfs(self._base)
        except OSError:
            # It is not known; whoever writes is told what is wrong with the volume.
            return True
        # Without a size it is one of those file systems that do not tell.
        free_bytes = volume.f_bavail * volume.f_frsize
        return not volume.f_blocks or free_bytes - coming_bytes >= self._minimum_bytes


@contextmanager
def full_disk_translated() -> Iterator[None]:
    """Translate what the kernel says of a full disk, or of a quota that is used up.

    Raises:
        InsufficientStorage: the disk was full.
        OSError: any other, as it was.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        raise InsufficientStorage("the disk is full: nothing of the upload was kept") from exc
