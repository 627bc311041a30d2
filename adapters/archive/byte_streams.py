"""Bytes of an archive, decompressed piece by piece and paid for from a budget.

The decompressors are driven by hand because the file objects around them (`gzip.open` and its
siblings) offer no memory limit for xz and no limit on the number of concatenated members.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from adapters.archive.inflater import GZIP_WINDOW, RAW_DEFLATE_WINDOW, Inflater
from adapters.archive.limits import ArchiveLimits, Budget
from application.errors import InvalidArchive

CHUNK_BYTES = 64 * 1024

# bgzip and pigz -i write one member for at least 64 KiB of content: enough for 4 GiB.
MAX_MEMBERS = 65_536

TRUNCATED = "the archive is truncated"


class ByteStream(Protocol):
    """A source of bytes that were paid for."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end.

        Raises:
            InvalidArchive: if the archive is broken or its budget is spent.
        """


class Source(Protocol):
    """Where compressed bytes come from: a file or a section of it."""

    def read(self, size: int, /) -> bytes: ...


class Decompressor(Protocol):
    """What `bz2` and `lzma` offer, and `Inflater` offers for zlib."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Section:
    """`length` bytes of a file from `start` on, read in order."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        file.seek(start)
        self._file = file
        self._left = length

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class PlainStream:
    """Bytes that need no decompression."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self._budget = budget

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._budget.spend(len(data))
        return data


class DecompressedStream:
    """Decompresses a source, whose members may follow each other, up to its end.

    Reaching the end means that every checksum held and nothing but zero padding is left over.

    Args:
        new_decompressor: called once for each member.
        max_members: more of them are refused.
    """

    def __init__(
        self,
        source: Source,
        budget: Budget,
        new_decompressor: Callable[[], Decompressor],
        max_members: int = MAX_MEMBERS,
    ) -> None:
        self._source = source
        self._budget = budget
        self._new_decompressor = new_decompressor
        self._members_left = max_members - 1
        self._decompressor = new_decompressor()
        self._compressed = b""
        self._output = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            # A chunk is decompressed at a time, whatever is asked for: zlib hands back what it
            # did not take of its input, so small steps would copy that over and over.
            if self._position == len(self._output):
                self._output, self._position = self._decompressed_chunk(), 0
            piece = self._output[self._position : self._position + size]
            if not piece:
                break
            pieces.append(piece)
            self._position += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _decompressed_chunk(self) -> bytes:
        while not self._decompressor.eof or self._next_member():
            data = b""
            if self._decompressor.needs_input:
                data = self._compressed or self._source.read(CHUNK_BYTES)
                self._compressed = b""
                if not data:
                    raise InvalidArchive(TRUNCATED)
            if chunk := self._decompress(data):
                self._budget.spend(len(chunk))
                return chunk
        return b""

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._decompressor.decompress(data, CHUNK_BYTES)
        # bz2 reports bad data as OSError; no file is read in here.
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as exc:
            raise InvalidArchive(f"the archive's compressed data is broken: {exc}") from exc

    def _next_member(self) -> bool:
        data = self._decompressor.unused_data.lstrip(b"\0")
        while not data:
            read = self._source.read(CHUNK_BYTES)
            if not read:
                return False
            data = read.lstrip(b"\0")
        if self._members_left < 1:
            raise InvalidArchive("data follows the end of the compressed data")
        self._members_left -= 1
        self._decompressor = self._new_decompressor()
        self._compressed = data
        return True


def gunzipped(source: Source, budget: Budget) -> DecompressedStream:
    """Return the content of a gzip file; its CRC is checked."""
    return DecompressedStream(source, budget, lambda: Inflater(GZIP_WINDOW))


def bunzipped(source: Source, budget: Budget) -> DecompressedStream:
    """Return the content of a bzip2 file; its CRC is checked."""
    return DecompressedStream(source, budget, bz2.BZ2Decompressor)


def unxzed(source: Source, budget: Budget, limits: ArchiveLimits) -> DecompressedStream:
    """Return the content of an xz file; its check is checked, its dictionary bounded."""
    return DecompressedStream(
        source, budget, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, limits.xz_memory_bytes)
    )


def inflated(source: Source, budget: Budget) -> DecompressedStream:
    """Return the content of raw DEFLATE data; bytes left over are refused."""
    return DecompressedStream(source, budget, lambda: Inflater(RAW_DEFLATE_WINDOW), max_members=1)


def exactly(stream: ByteStream, count: int) -> Iterator[bytes]:
    """Yield the next `count` bytes in chunks.

    Raises:
        InvalidArchive: if the stream ends before.
    """
    while count > 0:
        data = stream.read(min(count, CHUNK_BYTES))
        if not data:
            raise InvalidArchive(TRUNCATED)
        count -= len(data)
        yield data
