"""The folder of one development server: kept under a name, or made for one run and removed."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from entrypoints.dev.folders import state_folder


class FolderInUseError(RuntimeError):
    """Another process runs the server of that name; the message is one line."""


class HomeFolder:
    """A server's folder and the claim to it.

    The claim is a lock on an open file, which the guard of the server's process inherits: it ends
    when the server has, be it in order or by the guard after our death.
    """

    def __init__(self, kind: str, name: str | None) -> None:
        """Choose the folder.

        Args:
            kind: What server it is, the first part of the folder's name.
            name: Keep it under this name from run to run; without one `release` removes it.
        """
        self.kept = name is not None
        self.path = (
            state_folder() / f"{kind}-{name}"
            if name is not None
            else Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=state_folder()))
        )
        self._claim: int | None = None

    @property
    def claim(self) -> int | None:
        """The file descriptor that holds the claim, None while there is none."""
        return self._claim

    def take(self) -> None:
        """Make the folder if need be, and claim it. Idempotent.

        Raises:
            FolderInUseError: another process has claimed it.
        """
        if self._claim is not None:
            return
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        # mkdtemp closes it to everybody, and PostgreSQL does not run as root.
        self.path.chmod(0o711)
        claim = os.open(self.path / "claim", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(claim)
            raise FolderInUseError(f"a server already runs in {self.path}") from error
        self._claim = claim

    def release(self) -> None:
        """Give the claim back, and remove the folder unless it has a name. Idempotent."""
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
