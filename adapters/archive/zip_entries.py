"""Entries of a zip, in the order in which their data lies in the file.

In that order overlapping entries, the trick of the quoted-overlap bombs, are seen before they are
read. Everything is believed as the central directory says it; a local header only tells where
the data begins, and has to agree on the name and the method.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from operator import attrgetter
from typing import BinaryIO

from adapters.archive.byte_streams import (
    CHUNK_BYTES,
    ByteStream,
    PlainStream,
    Section,
    inflated,
)
from adapters.archive.entries import Entry, EntryKind, refused
from adapters.archive.limits import ArchiveLimits, Budget
from adapters.archive.zip_directory import ZipRecord, directory_records, locate_directory

LOCAL = struct.Struct("<4s5H3L2H")  # APPNOTE 4.3.7
LOCAL_SIGNATURE = b"PK\x03\x04"

STORED = 0
DEFLATED = 8

# Encrypted, patched data, strong encryption, masked local headers (APPNOTE 4.4.4).
ENCRYPTED_FLAGS = 0x0001 | 0x0040 | 0x2000
PATCHED_FLAG = 0x0020

# APPNOTE 4.4.2: systems whose attributes hold a Unix mode in their upper half.
UNIX_CREATORS = frozenset({3, 19})
DOS_FOLDER = 0x10


def zip_entries(file: BinaryIO, budget: Budget, limits: ArchiveLimits) -> Iterator[Entry]:
    """Yield the entries of a zip.

    Raises:
        InvalidArchive: if the zip is malformed, truncated, encrypted or overlapping, or holds
            anything but files, folders and symbolic links.
    """
    directory = locate_directory(file, limits)
    records = sorted(directory_records(file, directory, limits), key=attrgetter("offset"))
    free_from = 0
    for record in records:
        name = _name(record)
        if record.offset < free_from:
            raise refused(name, "overlaps another entry")
        data_offset = _data_offset(file, record, name)
        free_from = data_offset + record.compressed_size
        if free_from > directory.offset:
            raise refused(name, "lies outside of the zip's data")
        stream = _stream(Section(file, data_offset, record.compressed_size), record, name, budget)
        yield _entry(record, name, _checked(stream, record, name), limits)


def _name(record: ZipRecord) -> str:
    name = record.name
    # Old .NET tools separate with backslashes, against APPNOTE 4.4.17.1.
    return name if record.creator in UNIX_CREATORS else name.replace("\\", "/")


def _data_offset(file: BinaryIO, record: ZipRecord, name: str) -> int:
    file.seek(record.offset)
    fixed = file.read(LOCAL.size)
    if len(fixed) < LOCAL.size or not fixed.startswith(LOCAL_SIGNATURE):
        raise refused(name, "has no local header")
    _, _, flags, method, _, _, _, _, _, name_size, extra_size = LOCAL.unpack(fixed)
    if file.read(name_size) != record.raw_name or method != record.method:
        raise refused(name, "differs between the zip's central directory and its local header")
    if (flags | record.flags) & ENCRYPTED_FLAGS:
        raise refused(name, "is encrypted")
    return record.offset + LOCAL.size + int(name_size) + int(extra_size)


def _stream(section: Section, record: ZipRecord, name: str, budget: Budget) -> ByteStream:
    if record.flags & PATCHED_FLAG:
        raise refused(name, "is patched data, which is not accepted")
    if record.method == STORED:
        return PlainStream(section, budget)
    if record.method == DEFLATED:
        return inflated(section, budget)
    raise refused(name, f"is compressed by method {record.method}; only store and deflate are read")


def _checked(stream: ByteStream, record: ZipRecord, name: str) -> Iterator[bytes]:
    left, crc = record.size, 0
    while data := stream.read(CHUNK_BYTES):
        left -= len(data)
        if left < 0:
            raise refused(name, "is larger than the zip says")
        crc = zlib.crc32(data, crc)
        yield data
    if left:
        raise refused(name, "is smaller than the zip says, or truncated")
    if crc != record.crc:
        raise refused(name, "has a wrong checksum")


def _entry(record: ZipRecord, name: str, content: Iterator[bytes], limits: ArchiveLimits) -> Entry:
    mode = record.attributes >> 16 if record.creator in UNIX_CREATORS else 0
    kind = stat.S_IFMT(mode)
    named_as_folder = name.endswith("/")
    if kind == stat.S_IFDIR or (not kind and (named_as_folder or _dos_folder(record))):
        if record.size:
            raise refused(name, "is a folder but has content")
        return Entry(name, EntryKind.FOLDER, content)
    if named_as_folder:
        raise refused(name, "has the name of a folder but is none")
    if kind == stat.S_IFLNK:
        return Entry(name, EntryKind.LINK, iter(()), target=_target(record, name, content, limits))
    if kind not in {0, stat.S_IFREG}:
        raise refused(name, "is a device, fifo or socket, which is not accepted")
    return Entry(name, EntryKind.FILE, content, executable=bool(mode & stat.S_IXUSR))


def _dos_folder(record: ZipRecord) -> bool:
    return record.creator not in UNIX_CREATORS and bool(record.attributes & DOS_FOLDER)


def _target(record: ZipRecord, name: str, content: Iterator[bytes], limits: ArchiveLimits) -> str:
    if record.size > limits.path_bytes:
        raise refused(name, f"has a name or target longer than {limits.path_bytes} bytes")
    return b"".join(content).decode("utf-8", "surrogateescape")
