"""What comes out of archives that are fine."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from tests.unit.archive.archives import (
    DOCKERFILE,
    TAR_END,
    ZipItem,
    pax_header,
    pax_record,
    tar_entry,
    tar_of,
    zip_of,
)
from tests.unit.archive.conftest import Extract

TREE = tar_of(
    tar_entry(b"bin/", kind=b"5", mode=0o700),
    tar_entry(b"bin/run", b"#!/bin/sh\n", mode=0o4751),
    tar_entry(b"notes.txt", b"x" * 1000, mode=0o600),
    tar_entry(b"run", kind=b"2", target=b"bin/run"),
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_is_extracted_whatever_its_compression(
    extracted: Extract, compress: Callable[[bytes], bytes]
) -> None:
    archive = compress(TREE)

    context = extracted(archive)

    assert context.joinpath("Dockerfile").read_bytes() == b"FROM scratch\n"
    assert context.joinpath("notes.txt").read_bytes() == b"x" * 1000
    assert context.joinpath("run").readlink() == Path("bin/run")


def test_modes_are_normalised_and_the_executable_bit_is_kept(extracted: Extract) -> None:
    context = extracted(TREE)

    assert mode_of(context) == 0o755
    assert mode_of(context / "bin") == 0o755
    assert mode_of(context / "bin/run") == 0o755
    assert mode_of(context / "notes.txt") == 0o644


def test_the_modes_do_not_depend_on_the_umask(extracted: Extract) -> None:
    before = os.umask(0o077)
    try:
        context = extracted(TREE)
    finally:
        os.umask(before)

    assert mode_of(context) == 0o755
    assert mode_of(context / "bin") == 0o755
    assert mode_of(context / "notes.txt") == 0o644


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_long_targets_are_extracted(extracted: Extract, form: int) -> None:
    name, target = "d/" * 60 + "n" * 200, "d/" * 60 + "t" * 150
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("Dockerfile"))
        archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)

    context = extracted(buffer.getvalue())

    assert context.joinpath(name).is_file()
    assert context.joinpath("link").readlink() == Path(target)


def test_a_pax_size_overrules_the_header(extracted: Extract) -> None:
    records = pax_record(b"size", b"3") + pax_record(b"path", b"real") + pax_record(b"mtime", b"1")
    archive = tar_of(pax_header(records), tar_entry(b"claimed", b"abc", size=0))

    context = extracted(archive)

    assert context.joinpath("real").read_bytes() == b"abc"


def test_a_comment_for_the_whole_archive_is_ignored(extracted: Extract) -> None:
    comment = pax_header(pax_record(b"comment", b"0123abcd"), kind=b"g")

    context = extracted(comment + tar_of())

    assert context.joinpath("Dockerfile").exists()


@pytest.mark.parametrize(
    "name", ["+page.svelte", "..foo", "...", "a b", "back\\slash", "C:", "ünïcode", "[x]*?"]
)
def test_unusual_names_are_fine(extracted: Extract, name: str) -> None:
    context = extracted(tar_of(tar_entry(name.encode(), b"x")))

    assert context.joinpath(name).read_bytes() == b"x"


def test_a_single_top_folder_is_stripped_beside_the_noise_of_macos(extracted: Extract) -> None:
    archive = (
        tar_entry(b"./._app", b"noise")
        + tar_entry(b"__MACOSX/._app", b"noise")
        + tar_entry(b".DS_Store", b"noise")
        + tar_entry(b"app/Dockerfile", b"FROM scratch\n")
        + tar_entry(b"app/link", kind=b"2", target=b"./Dockerfile")
        + TAR_END
    )

    context = extracted(archive)

    assert sorted(p.name for p in context.iterdir()) == ["Dockerfile", "link"]


def test_noise_of_macos_is_dropped_from_an_archive_without_a_top_folder(
    extracted: Extract,
) -> None:
    archive = zip_of(ZipItem(b"__MACOSX/._Dockerfile", b"noise"), ZipItem(b"src/.DS_Store", b"x"))

    context = extracted(archive)

    assert sorted(p.name for p in context.iterdir()) == ["Dockerfile", "src"]


def test_only_one_top_folder_is_stripped(extracted: Extract) -> None:
    archive = tar_entry(b"a/Dockerfile", b"x") + tar_entry(b"a/b/c", b"x") + TAR_END

    context = extracted(archive)

    assert context.joinpath("b/c").exists()


def test_a_repeated_folder_is_fine(extracted: Extract) -> None:
    folder = tar_entry(b"src", kind=b"5")

    context = extracted(tar_of(tar_entry(b"./", kind=b"5"), folder, tar_entry(b"src/x"), folder))

    assert context.joinpath("src/x").exists()


def test_links_inside_are_kept_even_where_they_dangle(extracted: Extract) -> None:
    links = {"a/up": "..", "a/loose": "../not/there", "chain": "a/up/Dockerfile"}
    archive = tar_of(
        *(tar_entry(k.encode(), kind=b"2", target=v.encode()) for k, v in links.items())
    )

    context = extracted(archive)

    assert {k: str(context.joinpath(k).readlink()) for k in links} == links
    assert context.joinpath("chain").read_bytes() == b"FROM scratch\n"


def test_concatenated_gzip_members_and_padding_are_one_archive(extracted: Extract) -> None:
    archive = gzip.compress(DOCKERFILE) + gzip.compress(TAR_END) + bytes(100)

    context = extracted(archive)

    assert context.joinpath("Dockerfile").exists()


def test_an_existing_destination_is_left_alone(tmp_path: Path) -> None:
    archive, destination = tmp_path / "archive", tmp_path / "context"
    archive.write_bytes(TREE)
    destination.mkdir()

    with pytest.raises(FileExistsError):
        BuildContextExtractor().extract(archive, destination)

    assert list(destination.iterdir()) == []


def test_a_limit_below_one_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="entries"):
        ArchiveLimits(entries=0)


def test_nothing_is_left_when_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError("no space left")

    archive = tmp_path / "archive"
    archive.write_bytes(TREE)
    monkeypatch.setattr("adapters.archive.context_tree.sync_file_system", fail)

    with pytest.raises(OSError, match="no space"):
        BuildContextExtractor().extract(archive, tmp_path / "context")

    assert [p.name for p in tmp_path.iterdir()] == ["archive"]
