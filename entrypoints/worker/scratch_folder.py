"""A worker's private folder in the temporary directory, swept by the next one if it was killed.

Whether an owner still lives is told by a lock on its folder, which the kernel gives up with the
process. The pid in the name is for whoever looks: workers in containers of their own may share the
directory, and there pids mean nothing to each other (each may be 1).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "orch-cli-"


class ScratchFolder:
    """Made, and the leftovers of killed workers swept, when it is constructed.

    Args:
        parent: where to make it; None for the system's temporary directory.

    Attributes:
        path: the folder, readable to its owner alone.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _sweep(parent)
        lock = None
        while lock is None:
            # Between being made and being locked it may have been swept by another.
            self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
            lock = _locked(self.path)
        self._lock = lock

    def remove(self) -> None:
        """Remove it with everything in it. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder of ours; None if it is locked, gone, or not ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, held = folder.stat(), os.fstat(descriptor)
        ours = held.st_uid == os.geteuid() and (here.st_dev, here.st_ino) == (
            held.st_dev,
            held.st_ino,
        )
    except OSError:
        ours = False
    if not ours:
        os.close(descriptor)
        return None
    return descriptor
