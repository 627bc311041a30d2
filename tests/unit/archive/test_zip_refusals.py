"""Zips that are refused, each with nothing left behind."""

from __future__ import annotations

import stat
import struct

import pytest

from adapters.archive.limits import ArchiveLimits
from tests.unit.archive.archives import ZIP_DOCKERFILE, ZipItem, zip_of, zip_of_only
from tests.unit.archive.conftest import Refuse


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (ZipItem(b"../../outside", b"x"), "'..'"),
        (ZipItem(b"/absolute", b"x"), "absolute"),
        (ZipItem(b"..\\outside", b"x"), "backslashes"),
        (ZipItem(b"..\\outside", b"x", creator=0), "'..'"),
        (ZipItem(b"\\absolute", b"x", creator=10), "absolute"),
        (ZipItem(b"a\0b", b"x"), "control characters"),
        (ZipItem(b"\xff\xfe", b"x", flags=0x0800), "UTF-8"),
        (ZipItem(b"", b"x"), "empty name"),
        (ZipItem(b"n" * 256, b"x"), "component longer"),
        (ZipItem(b"n/" * 600 + b"n", b"x"), "longer than 1024"),
        (ZipItem(b"secret", b"x", flags=1), "encrypted"),
        (ZipItem(b"secret", b"x", flags=0x2000), "encrypted"),
        (ZipItem(b"patch", b"x", flags=0x20), "patched"),
        (ZipItem(b"old", b"x", method=12), "method 12"),
        (ZipItem(b"pipe", mode=stat.S_IFIFO | 0o644), "fifo"),
        (ZipItem(b"sda", mode=stat.S_IFBLK | 0o644), "device"),
        (ZipItem(b"socket", mode=stat.S_IFSOCK | 0o644), "socket"),
        (ZipItem(b"folder/", b"x", mode=0), "folder but has content"),
        (ZipItem(b"file/", b"x", mode=stat.S_IFREG | 0o644), "name of a folder"),
        (ZipItem(b"l", b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "absolute"),
        (ZipItem(b"l", b"../x", mode=stat.S_IFLNK | 0o777), "leads out"),
        (ZipItem(b"l", b"x" * 1025, mode=stat.S_IFLNK | 0o777), "target longer"),
        (ZipItem(b"x", b"x", crc=1), "wrong checksum"),
        (ZipItem(b"x", b"xyz", size=2), "larger than the zip says"),
        (ZipItem(b"x", b"xyz", size=4), "smaller than the zip says"),
        (ZipItem(b"x", b"xyz", method=0, compressed_size=2), "smaller than the zip says"),
        (ZipItem(b"x", b"xyz", compressed_size=2), "truncated"),
        (ZipItem(b"x", b"xyz", compressed_size=4_000), "outside of the zip's data"),
        (ZipItem(b"x", b"xyz", local_name=b"y"), "differs between"),
        (ZipItem(b"x", b"xyz", offset=7), "overlaps"),
        (ZipItem(b"x", b"xyz", offset=0), "overlaps"),
        (ZipItem(b"x", b"xyz", offset=60_000), "no local header"),
        (ZipItem(b"x", b"xyz", compressed=b"\xff\xff\xff\xff"), "compressed data is broken"),
        (ZipItem(b"x", compressed=b"\x03\x00tail"), "data follows"),
    ],
)
def test_a_hostile_entry_is_refused(refusal: Refuse, item: ZipItem, why: str) -> None:
    text = refusal(zip_of(item))

    assert why in text
    assert text.isprintable()


def test_an_entry_twice_is_refused(refusal: Refuse) -> None:
    text = refusal(zip_of(ZipItem(b"Dockerfile", b"another")))

    assert "'Dockerfile' appears twice" in text


def test_overlapping_entries_are_refused_before_they_are_read(refusal: Refuse) -> None:
    kernel = ZipItem(b"bomb", b"0" * 1_000_000)
    start = len(zip_of_only(ZIP_DOCKERFILE)) - 22 - 46 - len(b"Dockerfile")
    quoted = [ZipItem(b"bomb", b"0" * 1_000_000, offset=start) for _ in range(100)]

    text = refusal(zip_of(kernel, *quoted))

    assert "overlaps" in text


@pytest.mark.parametrize("cut", [1, 21, 22, 60, 100])
def test_a_truncated_zip_is_refused(refusal: Refuse, cut: int) -> None:
    text = refusal(zip_of(ZipItem(b"x", b"x" * 100))[:-cut])

    assert "truncated" in text


@pytest.mark.parametrize(
    ("count", "why"), [(1, "more records than it says"), (3, "directory is broken")]
)
def test_a_wrong_count_is_refused(refusal: Refuse, count: int, why: str) -> None:
    text = refusal(zip_of_only(ZIP_DOCKERFILE, ZipItem(b"x"), count=count))

    assert why in text


def test_a_count_beyond_the_limit_is_refused_before_the_directory_is_read(
    refusal: Refuse,
) -> None:
    text = refusal(zip_of_only(ZIP_DOCKERFILE, count=60_000))

    assert text == "the archive has more than 50000 entries"


def test_a_split_zip_is_refused(refusal: Refuse) -> None:
    archive = bytearray(zip_of())
    struct.pack_into("<H", archive, len(archive) - 18, 1)

    text = refusal(bytes(archive))

    assert "split" in text


def test_a_directory_outside_of_the_file_is_refused(refusal: Refuse) -> None:
    archive = bytearray(zip_of())
    struct.pack_into("<L", archive, len(archive) - 6, 1_000)

    text = refusal(bytes(archive))

    assert "outside of the file" in text


def test_a_missing_zip64_record_is_refused(refusal: Refuse) -> None:
    archive = bytearray(zip_of())
    struct.pack_into("<L", archive, len(archive) - 6, 0xFFFFFFFF)

    text = refusal(bytes(archive))

    assert "zip64" in text


def test_an_entry_that_lacks_its_zip64_field_is_refused(refusal: Refuse) -> None:
    text = refusal(zip_of(ZipItem(b"x", b"x", size=0xFFFFFFFF)))

    assert "zip64 field" in text


def test_an_empty_zip_is_refused(refusal: Refuse) -> None:
    text = refusal(zip_of_only())

    assert text == "the archive is empty"


def test_a_bomb_is_refused_at_the_limit(refusal: Refuse) -> None:
    limits = ArchiveLimits(total_bytes=1_000_000)

    text = refusal(zip_of(ZipItem(b"x", b"0" * 5_000_000)), limits)

    assert text == "the archive becomes more than 1000000 bytes"
