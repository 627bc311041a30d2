"""Archives built block by block, so that every field can lie."""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass, replace

BLOCK = 512


def tar_entry(
    name: bytes,
    data: bytes = b"",
    *,
    kind: bytes = b"0",
    mode: int = 0o644,
    target: bytes = b"",
    size: int | None = None,
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """Return a header with a right checksum, and the data padded to blocks."""
    size_field = b"%011o\0" % (len(data) if size is None else size)
    block = struct.pack(
        "100s8s8s8s12s12s8s1s100s8s247s",
        name,
        b"%07o\0" % mode,
        b"0000000\0",
        b"0000000\0",
        size_field,
        b"00000000000\0",
        b" " * 8,
        kind,
        target,
        magic,
        b"",
    )
    checksum = b"%06o\0 " % sum(block)
    return block[:148] + checksum + block[156:] + data + bytes(-len(data) % BLOCK)


DOCKERFILE = tar_entry(b"Dockerfile", b"FROM scratch\n")
TAR_END = bytes(2 * BLOCK)


def tar_of(*entries: bytes) -> bytes:
    """Return a tar of a Dockerfile and `entries`."""
    return DOCKERFILE + b"".join(entries) + TAR_END


def pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax_header(records: bytes, kind: bytes = b"x") -> bytes:
    return tar_entry(b"pax", records, kind=kind)


@dataclass(frozen=True)
class ZipItem:
    """One entry; what is None is what is true of `data`."""

    name: bytes
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    method: int = 8
    creator: int = 3
    flags: int = 0
    size: int | None = None
    compressed_size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    offset: int | None = None
    dos_attributes: int = 0
    compressed: bytes | None = None


ZIP_DOCKERFILE = ZipItem(b"Dockerfile", b"FROM scratch\n")


def zip_of(*items: ZipItem) -> bytes:
    """Return a zip of a Dockerfile and `items`."""
    return zip_of_only(ZIP_DOCKERFILE, *items)


def zip_directory_of(*items: ZipItem) -> bytes:
    """Return a zip with one entry, whose central directory tells of `items`."""
    data = _local(_filled(ZIP_DOCKERFILE, 0))
    directory = b"".join(_record(_filled(item, 0)) for item in items)
    end = (b"PK\x05\x06", 0, 0, len(items), len(items), len(directory), len(data), 0)
    return data + directory + struct.pack("<4s4H2LH", *end)


def zip_of_only(*items: ZipItem, count: int | None = None) -> bytes:
    data, directory = b"", b""
    for given in items:
        item = _filled(given, len(data))
        data += _local(item)
        directory += _record(item)
    total = len(items) if count is None else count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, total, total, len(directory), len(data), 0)
    return data + directory + end


def _filled(item: ZipItem, offset: int) -> ZipItem:
    compressed = item.compressed
    if compressed is None:
        compressed = _deflated(item.data) if item.method == 8 else item.data
    return replace(
        item,
        compressed=compressed,
        size=len(item.data) if item.size is None else item.size,
        compressed_size=(len(compressed) if item.compressed_size is None else item.compressed_size),
        crc=zlib.crc32(item.data) if item.crc is None else item.crc,
        local_name=item.name if item.local_name is None else item.local_name,
        offset=offset if item.offset is None else item.offset,
    )


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def _local(item: ZipItem) -> bytes:
    assert item.local_name is not None
    assert item.compressed is not None
    fields = (item.flags, item.method, 0, 0, item.crc, item.compressed_size, item.size)
    return (
        struct.pack("<4sH2H2H3L2H", b"PK\x03\x04", 20, *fields, len(item.local_name), 0)
        + item.local_name
        + item.compressed
    )


def _record(item: ZipItem) -> bytes:
    return (
        struct.pack(
            "<4s2B5H3L5H2L",
            b"PK\x01\x02",
            20,
            item.creator,
            20,
            item.flags,
            item.method,
            0,
            0,
            item.crc,
            item.compressed_size,
            item.size,
            len(item.name),
            0,
            0,
            0,
            0,
            item.mode << 16 | item.dos_attributes,
            item.offset,
        )
        + item.name
    )
