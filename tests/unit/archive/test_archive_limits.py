"""Limits that hold whatever the format, and files that are no archive."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive
from tests.unit.archive.archives import (
    TAR_END,
    ZipItem,
    tar_entry,
    tar_of,
    zip_directory_of,
    zip_of,
)
from tests.unit.archive.conftest import Extract, Refuse

COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "an empty file"),
        (bytes(1024), "the archive is empty"),
        (gzip.compress(TAR_END), "the archive is empty"),
        (b"just text", "is no zip, tar"),
        (b"x" * 10_000, "is no zip, tar"),
        (b"Rar!\x1a\x07\x00", "is no zip, tar"),
        (b"prefix" + zip_of(), "is no zip, tar"),
        (gzip.compress(b""), "truncated"),
        (b"\x1f\x8b\x08", "truncated"),
        (b"BZh9", "truncated"),
        (b"\xfd7zXZ\x00", "truncated"),
    ],
)
def test_what_is_no_archive_is_refused(refusal: Refuse, data: bytes, why: str) -> None:
    text = refusal(data)

    assert why in text


@pytest.mark.parametrize(
    "entries",
    [
        tar_entry(b"dockerfile", b"x"),
        tar_entry(b"a/b/Dockerfile", b"x"),
        tar_entry(b"Dockerfile", kind=b"5"),
        tar_entry(b"real", b"x") + tar_entry(b"Dockerfile", kind=b"2", target=b"real"),
        tar_entry(b"__MACOSX/Dockerfile", b"x") + tar_entry(b"a", b"x"),
    ],
)
def test_an_archive_without_a_dockerfile_at_its_root_is_refused(
    refusal: Refuse, entries: bytes
) -> None:
    text = refusal(entries + TAR_END)

    assert "no file named Dockerfile" in text


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_compressed_bomb_is_refused_by_its_ratio(
    refusal: Refuse, compress: Callable[[bytes], bytes]
) -> None:
    limits = ArchiveLimits(ratio=10, ratio_floor_bytes=100_000)
    archive = compress(tar_of(tar_entry(b"zeros", bytes(8_000_000))))

    text = refusal(archive, limits)

    assert text == "the archive becomes more than 10 times its own size when extracted"


def test_a_small_archive_may_pass_the_ratio_up_to_the_floor(extracted: Extract) -> None:
    limits = ArchiveLimits(ratio=10, ratio_floor_bytes=1_000_000)

    context = extracted(gzip.compress(tar_of(tar_entry(b"zeros", bytes(900_000)))), limits)

    assert context.joinpath("zeros").stat().st_size == 900_000


def test_a_bomb_behind_the_end_of_the_tar_is_refused(refusal: Refuse) -> None:
    limits = ArchiveLimits(ratio=10, ratio_floor_bytes=100_000)

    text = refusal(gzip.compress(tar_of() + bytes(8_000_000)), limits)

    assert "10 times" in text


def test_no_more_than_the_limit_is_ever_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0

    def measure(folder: Path, *, ignore_errors: bool) -> None:
        nonlocal seen
        seen += sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(tar_of(tar_entry(b"zeros", bytes(8_000_000)))))
    monkeypatch.setattr("adapters.archive.build_context_extractor.shutil.rmtree", measure)

    with pytest.raises(InvalidArchive):
        BuildContextExtractor(ArchiveLimits(total_bytes=1_000_000)).extract(
            archive, tmp_path / "context"
        )

    assert 0 < seen <= 1_000_000


@pytest.mark.parametrize(
    "archive",
    [
        tar_of(*(tar_entry(b"%d" % i) for i in range(20))),
        tar_of(*([tar_entry(b"./", kind=b"5")] * 20)),
        tar_of(tar_entry(b"/".join([b"d"] * 20))),
        zip_of(*(ZipItem(b"%d" % i) for i in range(20))),
        zip_of(ZipItem(b"/".join([b"d"] * 20))),
    ],
)
def test_too_many_entries_or_implied_folders_are_refused(refusal: Refuse, archive: bytes) -> None:
    text = refusal(archive, ArchiveLimits(entries=15))

    assert text == "the archive has more than 15 entries"


@pytest.mark.parametrize(
    ("name_bytes", "entries", "why"),
    [
        (60_000, 50_000, "directory is larger than 25600000 bytes"),
        (60_000, 1_000_000, "a name longer than 1024 bytes"),
        (1_024, 1_000, "directory is larger than 512000 bytes"),
    ],
)
def test_long_names_in_a_zip_are_refused_before_they_fill_the_memory(
    refusal: Refuse, name_bytes: int, entries: int, why: str
) -> None:
    archive = zip_directory_of(*[ZipItem(b"n" * name_bytes)] * 500)
    tracemalloc.start()

    text = refusal(archive, ArchiveLimits(entries=entries))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert why in text
    assert peak < 1 << 20


def test_many_empty_gzip_members_are_refused_quickly(refusal: Refuse) -> None:
    text = refusal(gzip.compress(tar_of()) + gzip.compress(b"") * 70_000)

    assert "data follows" in text


def test_a_large_archive_is_extracted_in_little_memory(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(tar_of(tar_entry(b"big", os.urandom(1 << 20) * 24)), 1))
    tracemalloc.start()

    BuildContextExtractor().extract(archive, tmp_path / "context")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 << 20
