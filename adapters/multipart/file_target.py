"""Where the file of an upload goes while streaming-form-data takes it apart."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

# The package has no type information, so its class is Any to mypy.
from streaming_form_data.targets import BaseTarget  # type: ignore[import-untyped]

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NewFileTarget(BaseTarget):  # type: ignore[misc]  # see the import
    """Writes a part into a file that must not exist before, readable by us alone.

    The package's own FileTarget follows links, and can be made to leave its file behind, open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: BinaryIO | None = None
        self._created = False

    def on_start(self) -> None:
        """Create the file; raises FileExistsError."""
        descriptor = os.open(self._path, CREATE, 0o600)
        self._created = True
        self._file = os.fdopen(descriptor, "wb")

    def on_data_received(self, chunk: bytes) -> None:
        """Append to the file."""
        if self._file is not None:
            self._file.write(chunk)

    def on_finish(self) -> None:
        """Close the file; what it holds is written."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def discard(self) -> None:
        """Close and remove the file if it was created here."""
        # Where the disk is full, what could not be written is not wanted any more.
        with contextlib.suppress(OSError):
            self.on_finish()
        if self._created:
            self._path.unlink(missing_ok=True)
            self._created = False
