"""How much an archive may become, and the budget that is spent while it does."""

from __future__ import annotations

from dataclasses import dataclass

from application.errors import InvalidArchive

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds of one archive; each has to be positive.

    Attributes:
        total_bytes: bytes after decompression, a tar's own headers and padding included.
        entries: files, folders (implied ones too) and links.
        ratio: bytes after decompression for each byte of the archive. Source trees reach 3 to 10,
            dumps of text about 50; DEFLATE ends at 1,032.
        ratio_floor_bytes: so much may come out whatever the ratio, so that a small archive of
            repetitive files is not refused.
        path_bytes: of one path, or the target of one link, in UTF-8. Linux ends at 4,096 for the
            path as a whole, macOS at 1,024.
        path_depth: components of one path.
        zip_record_bytes: of one record of a zip's directory, name included, on average of as many
            as there may be: the directory is held in memory. Source trees have 100 to 250.
        name_bytes: of one component in UTF-8; NAME_MAX of Linux's file systems.
        xz_memory_bytes: what xz may allocate for its dictionary; `xz -9` needs 65 MiB.
    """

    total_bytes: int = 2 * GIB
    entries: int = 50_000
    ratio: int = 100
    ratio_floor_bytes: int = 64 * MIB
    path_bytes: int = 1024
    path_depth: int = 64
    zip_record_bytes: int = 512
    name_bytes: int = 255
    xz_memory_bytes: int = 80 * MIB

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


class Budget:
    """The bytes that an archive may still become.

    It is spent before the bytes are used, so what is written never passes the limit.

    Args:
        archive_bytes: the size of the archive as uploaded.
    """

    def __init__(self, limits: ArchiveLimits, archive_bytes: int) -> None:
        by_ratio = max(limits.ratio_floor_bytes, limits.ratio * archive_bytes)
        self._left = min(limits.total_bytes, by_ratio)
        if by_ratio < limits.total_bytes:
            self._refusal = (
                f"the archive becomes more than {limits.ratio} times its own size when extracted"
            )
        else:
            self._refusal = f"the archive becomes more than {limits.total_bytes} bytes"

    def spend(self, count: int) -> None:
        """Take `count` bytes from the budget.

        Raises:
            InvalidArchive: if it has not that many left.
        """
        self._left -= count
        if self._left < 0:
            raise InvalidArchive(self._refusal)
