"""Making a whole tree durable at once.

One `syncfs` is bounded by the dirty pages of one file system, whatever the number of files. An
fsync of each file is one journal commit each: tens of thousands for a context with vendored
dependencies. The price is that it also writes out what others left dirty on that volume.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(folder_fd: int) -> None:
    """Write everything on the folder's file system to its device; errors of it are reported.

    Where libc has no syncfs(2), all file systems are synced, without a report.

    Raises:
        OSError: if the device failed.
    """
    if not hasattr(_libc, "syncfs"):
        os.sync()
        return
    if _libc.syncfs(ctypes.c_int(folder_fd)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
