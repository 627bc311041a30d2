"""What can be wrong around a tar: its compression."""

from __future__ import annotations

import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

import pytest

from tests.unit.archive.archives import tar_of
from tests.unit.archive.conftest import Refuse


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 40])
def test_a_truncated_gzip_is_refused(refusal: Refuse, cut: int) -> None:
    text = refusal(gzip.compress(tar_of())[:-cut])

    assert "truncated" in text


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_garbage_behind_the_compressed_data_is_refused(
    refusal: Refuse, compress: Callable[[bytes], bytes]
) -> None:
    text = refusal(compress(tar_of()) + b"garbage")

    assert "broken" in text or "truncated" in text


def test_a_wrong_checksum_of_gzip_is_refused(refusal: Refuse) -> None:
    archive = bytearray(gzip.compress(tar_of()))
    archive[-8] ^= 1

    text = refusal(bytes(archive))

    assert "compressed data is broken" in text


def test_a_compressed_file_that_is_no_tar_is_refused(refusal: Refuse) -> None:
    text = refusal(gzip.compress(gzip.compress(tar_of()) * 10))

    assert "broken header" in text


def test_an_xz_that_asks_for_a_huge_dictionary_is_refused(refusal: Refuse) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 * 1024 * 1024}]
    small = [{"id": lzma.FILTER_LZMA2, "preset": 0}]
    archive = bytearray(lzma.compress(tar_of(), filters=small))
    # The dictionary's size is one byte of the block header, which a CRC follows.
    header = _xz_block_header(bytes(archive[12:24]), _xz_dictionary(filters[0]["dict_size"]))
    archive[12:24] = header

    text = refusal(bytes(archive))

    assert "emory" in text


def _xz_dictionary(size: int) -> int:
    return next(bits for bits in range(41) if (2 | (bits & 1)) << (bits // 2 + 11) >= size)


def _xz_block_header(header: bytes, dictionary: int) -> bytes:
    length = (header[0] + 1) * 4
    assert length == 12
    position = header.index(b"\x21\x01") + 2
    changed = header[:position] + bytes([dictionary]) + header[position + 1 : 8]
    return changed + struct.pack("<L", zlib.crc32(changed))
