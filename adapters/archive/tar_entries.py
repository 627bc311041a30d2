"""Entries of a tar stream, read front to back.

`tarfile` decodes single header blocks for us; walking the stream is ours, because its own walk
trusts sizes, skips what it does not know and seeks over what a truncated archive lacks.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator

from adapters.archive.byte_streams import CHUNK_BYTES, TRUNCATED, ByteStream, exactly
from adapters.archive.entries import Entry, EntryKind, refused
from adapters.archive.limits import ArchiveLimits
from adapters.archive.tar_extensions import (
    EXTENSION_TYPES,
    Extensions,
    check_extension_size,
    check_global,
)
from application.errors import InvalidArchive

BLOCK_BYTES = tarfile.BLOCKSIZE
ZERO_BLOCK = bytes(BLOCK_BYTES)

# git writes one, with the commit's id.
MAX_GLOBAL_HEADERS = 16

# GNU's own format keeps times where POSIX keeps the first part of a long name.
GNU_MAGIC = slice(257, 265), b"ustar  \0"
NAME_FIELD = slice(0, 100)

REGULAR_TYPES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
REFUSED_TYPES = {
    tarfile.LNKTYPE: "is a hard link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a fifo",
    tarfile.GNUTYPE_SPARSE: "is a sparse file",
}


def is_tar_header(block: bytes) -> bool:
    """Tell whether a file that starts with `block` is a tar, by the header's checksum."""
    if block == ZERO_BLOCK:
        return True
    try:
        _header(block)
    except InvalidArchive:
        return False
    return True


def tar_entries(stream: ByteStream, limits: ArchiveLimits) -> Iterator[Entry]:
    """Yield the entries of a tar up to its end, which has to be there.

    Raises:
        InvalidArchive: if the tar is malformed or truncated, or holds anything but files, folders
            and symbolic links.
    """
    globals_left = MAX_GLOBAL_HEADERS
    extensions = Extensions()
    while (block := _block(stream)) != ZERO_BLOCK:
        header = _header(block)
        if header.type in EXTENSION_TYPES:
            check_extension_size(header.type, header.size, limits)
            data = b"".join(_padded(stream, header.size))
            if header.type == tarfile.XGLTYPE:
                globals_left -= 1
                check_global(data)
            else:
                extensions.take(header.type, data)
            if globals_left < 0:
                raise InvalidArchive("the tar has too many global pax headers")
            continue
        entry = _entry(header, extensions, stream)
        extensions = Extensions()
        yield entry
        for _ in entry.content:
            pass
    if extensions.seen:
        raise InvalidArchive(TRUNCATED)
    _check_end(stream)


def _block(stream: ByteStream) -> bytes:
    block = stream.read(BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        raise InvalidArchive(TRUNCATED)
    return block


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as exc:
        raise InvalidArchive(f"the tar has a broken header: {exc}") from exc
    field, magic = GNU_MAGIC
    if block[field] == magic:
        name = block[NAME_FIELD].split(b"\0", 1)[0]
        header.name = name.decode("utf-8", "surrogateescape")
    return header


def _entry(header: tarfile.TarInfo, extensions: Extensions, stream: ByteStream) -> Entry:
    name = header.name if extensions.path is None else extensions.path
    size = header.size if extensions.size is None else extensions.size
    if header.type in REFUSED_TYPES:
        raise refused(name, REFUSED_TYPES[header.type] + ", which is not accepted")
    if size < 0:
        raise refused(name, "has a negative size")
    if header.type in REGULAR_TYPES:
        if name.endswith("/"):
            raise refused(name, "is a file with the name of a folder")
        executable = bool(header.mode & stat.S_IXUSR)
        return Entry(name, EntryKind.FILE, _padded(stream, size), executable=executable)
    # Readers differ on whether such content exists, so what follows could be read as two things.
    if size:
        raise refused(name, "is no file but has content")
    if header.type == tarfile.DIRTYPE:
        return Entry(name, EntryKind.FOLDER, iter(()))
    if header.type == tarfile.SYMTYPE:
        target = header.linkname if extensions.target is None else extensions.target
        return Entry(name, EntryKind.LINK, iter(()), target=target)
    raise refused(name, f"has the unknown type {header.type!r}")


def _padded(stream: ByteStream, size: int) -> Iterator[bytes]:
    yield from exactly(stream, size)
    for _ in exactly(stream, -size % BLOCK_BYTES):
        pass


def _check_end(stream: ByteStream) -> None:
    """Read to the end of the stream: only there are a compressor's checksums compared."""
    while data := stream.read(CHUNK_BYTES):
        if data.strip(b"\0"):
            raise InvalidArchive("data follows the end of the tar")
