"""The mark of the installation whose files are on the volume: its id, in a file beside them.

    .installation    one line, written once and complete from the moment that it is there

A sweep and a removal act on what a database says of files that it does not hold itself. The mark
tells whether that is the database which they belong to.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from adapters.volume.context_store import INCOMING, sync_folder

MARK = ".installation"

# An id is a UUID; whatever else somebody wrote there is told as far as this.
_READ_BYTES = 200
# A file system that knows no hard links: of two installations at once the later one would stay.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK})


class VolumeInstallationMark:
    """The mark below one folder.

    Args:
        base: BUILD_CONTEXT_BASE_DIR.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._path = base / MARK

    @property
    def where(self) -> str:
        return str(self._path)

    def read(self) -> str | None:
        try:
            with self._path.open("rb") as mark:
                text = mark.read(_READ_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return None
        return text.strip() or None

    def write(self, installation_id: str) -> None:
        # Cut short it is an upload that nobody needs.
        draft = self._base / INCOMING / uuid4().hex
        try:
            with draft.open("x") as mark:
                mark.write(f"{installation_id}\n")
                mark.flush()
                os.fsync(mark.fileno())
            self._place(draft)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self._base)

    def _place(self, draft: Path) -> None:
        if self._path.exists() and self.read() is None:
            # Somebody emptied it, or a crash did.
            draft.replace(self._path)
            return
        try:
            with suppress(FileExistsError):
                os.link(draft, self._path)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            draft.replace(self._path)
