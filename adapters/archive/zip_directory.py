"""The central directory of a zip: the one account of its entries that we trust.

It is read record by record, after its count and its size were held against the limits, whereas
`zipfile` reads all of it into memory at once. Names and sizes in the local headers are never used,
only compared.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive

# Section numbers are of PKWARE's APPNOTE 6.3.10.
END = struct.Struct("<4s4H2LH")  # 4.3.16
END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
LOCATOR_64 = struct.Struct("<4sLQL")  # 4.3.15
RECORD = struct.Struct("<4s2B5H3L5H2L")  # 4.3.12, "version needed" as one number
END_SIGNATURE = b"PK\x05\x06"
END_64_SIGNATURE = b"PK\x06\x06"
LOCATOR_64_SIGNATURE = b"PK\x06\x07"
RECORD_SIGNATURE = b"PK\x01\x02"
MAX_COMMENT_BYTES = 0xFFFF
# A field with all bits set has its value in a zip64 structure.
FULL_16 = 0xFFFF
FULL_32 = 0xFFFFFFFF
ZIP64_EXTRA = 1
UTF8_FLAG = 0x0800


@dataclass(frozen=True, slots=True)
class ZipRecord:
    """One record of the central directory; sizes and the offset are bytes."""

    raw_name: bytes
    creator: int
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    attributes: int
    offset: int

    @property
    def name(self) -> str:
        """The name as text; what is not UTF-8 although it claims to be becomes surrogates.

        Without the flag the format says CP437, but macOS writes UTF-8.
        """
        if self.flags & UTF8_FLAG:
            return self.raw_name.decode("utf-8", "surrogateescape")
        try:
            return self.raw_name.decode("utf-8")
        except UnicodeDecodeError:
            return self.raw_name.decode("cp437")


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """Where the central directory lies.

    Attributes:
        offset: its first byte in the file; entries end before it.
    """

    count: int
    size: int
    offset: int


def locate_directory(file: BinaryIO, limits: ArchiveLimits) -> ZipDirectory:
    """Find the central directory from the end of the file.

    Raises:
        InvalidArchive: if there is none, it spans several disks, or it has too many records or
            too long ones.
    """
    size = file.seek(0, os.SEEK_END)
    tail_offset = max(0, size - END.size - MAX_COMMENT_BYTES)
    file.seek(tail_offset)
    tail = file.read()
    at = _end_in(tail)
    if at < 0:
        raise InvalidArchive("the zip is truncated: its central directory is missing")
    _, disk, first_disk, count_here, count, length, offset, _ = END.unpack_from(tail, at)
    end = tail_offset + at
    if FULL_16 in {count, count_here} or FULL_32 in {length, offset}:
        end, disk, first_disk, count_here, count, length, offset = _end_64(file, end)
    if disk or first_disk or count_here != count:
        raise InvalidArchive("the zip is split over several files")
    if count > limits.entries:
        raise InvalidArchive(f"the archive has more than {limits.entries} entries")
    if offset + length > end:
        raise InvalidArchive("the zip's central directory lies outside of the file")
    if length > (most := limits.entries * limits.zip_record_bytes):
        raise InvalidArchive(f"the zip's central directory is larger than {most} bytes")
    return ZipDirectory(count, length, offset)


def directory_records(
    file: BinaryIO, directory: ZipDirectory, limits: ArchiveLimits
) -> Iterator[ZipRecord]:
    """Yield the records of the central directory in its order.

    Raises:
        InvalidArchive: if they are malformed or do not fill it, or a name is too long to be read.
    """
    file.seek(directory.offset)
    left = directory.size
    for _ in range(directory.count):
        fixed = file.read(RECORD.size)
        if len(fixed) < RECORD.size or not fixed.startswith(RECORD_SIGNATURE):
            raise InvalidArchive("the zip's central directory is broken")
        fields = RECORD.unpack(fixed)
        name_size, extra_size, comment_size, disk = fields[11:15]
        left -= RECORD.size + name_size + extra_size + comment_size
        if left < 0 or disk not in {0, FULL_16}:
            raise InvalidArchive("the zip's central directory is broken")
        if name_size > limits.path_bytes:
            raise InvalidArchive(
                f"the zip has an entry with a name longer than {limits.path_bytes} bytes"
            )
        name, extra = file.read(name_size), file.read(extra_size)
        file.seek(comment_size, os.SEEK_CUR)
        yield _record(fields, name, extra)
    if left:
        raise InvalidArchive("the zip's central directory has more records than it says")


def _end_in(tail: bytes) -> int:
    at = tail.rfind(END_SIGNATURE)
    while at >= 0:
        comment = at + END.size
        if comment <= len(tail):
            (length,) = struct.unpack_from("<H", tail, comment - 2)
            if comment + length == len(tail):
                return at
        at = tail.rfind(END_SIGNATURE, 0, at)
    return -1


def _end_64(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int, int]:
    if end >= LOCATOR_64.size:
        file.seek(end - LOCATOR_64.size)
        signature, _, offset, _ = LOCATOR_64.unpack(file.read(LOCATOR_64.size))
        if signature == LOCATOR_64_SIGNATURE and offset + END_64.size <= end:
            file.seek(offset)
            found = END_64.unpack(file.read(END_64.size))
            if found[0] == END_64_SIGNATURE:
                _, _, _, _, disk, first_disk, here, count, length, start = found
                return offset, disk, first_disk, here, count, length, start
    raise InvalidArchive("the zip's zip64 end record is missing")


def _record(fields: tuple[int, ...], name: bytes, extra: bytes) -> ZipRecord:
    creator, flags, method, crc = fields[2], fields[4], fields[5], fields[8]
    compressed_size, size = fields[9], fields[10]
    attributes, offset = fields[16], fields[17]
    if FULL_32 in {compressed_size, size, offset}:
        wide = _zip64_values(extra)
        try:
            size = next(wide) if size == FULL_32 else size
            compressed_size = next(wide) if compressed_size == FULL_32 else compressed_size
            offset = next(wide) if offset == FULL_32 else offset
        except StopIteration:
            raise InvalidArchive("a zip64 field of the zip is missing") from None
    return ZipRecord(name, creator, flags, method, crc, compressed_size, size, attributes, offset)


def _zip64_values(extra: bytes) -> Iterator[int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == ZIP64_EXTRA:
            return iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
        at += 4 + length
    return iter(())
