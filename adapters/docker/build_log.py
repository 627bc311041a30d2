"""A build log on disk: written live, bounded, its end always kept.

A disk that is full, or a volume that is gone, costs the log but not the build: what cannot be
written is left out, and whoever reads the log finds it short. That goes for its very file too: one
that cannot be made is tried again with each line, so the log begins when there is room.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import structlog

MAX_BYTES = 32 * 1024 * 1024
# What is kept of the end once the file is full; far above the 8,000 characters of the database.
TAIL_BYTES = 256 * 1024

logger = structlog.get_logger(__name__)


class BuildLog:
    """Writes lines as they come; past its limit it keeps the end in memory until it is closed.

    Args:
        path: an earlier attempt's log there is overwritten.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._left = max_bytes
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._omitted = 0
        self._broken = False
        # Nothing of an earlier attempt is to be read as this one's.
        self._append(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def write(self, line: str) -> None:
        """Append a line."""
        data = line.rstrip("\r\n").replace("\0", "").encode(errors="replace") + b"\n"
        if len(data) <= self._left and not self._tail:
            self._left -= len(data)
            self._append(data)
            return
        self._tail.append(data[-TAIL_BYTES:])
        self._tail_bytes += len(self._tail[-1])
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft())
            self._omitted += 1

    def close(self) -> None:
        """Write the end that was kept, and what is missing before it."""
        if self._omitted:
            self._append(f"… {self._omitted} lines left out …\n".encode())
        for data in self._tail:
            self._append(data)
        if self._file is not None:
            try:
                self._file.close()
            except OSError as exc:
                self._note(exc)

    def _append(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb", buffering=0)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as exc:
            self._note(exc)

    def _note(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            logger.warning("build log not written", path=str(self._path), error=str(error))
