"""What comes out of zips that are fine."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

from tests.unit.archive.archives import ZipItem, zip_of, zip_of_only
from tests.unit.archive.conftest import Extract


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_zip_keeps_executable_bits_and_links_of_unix_creators(extracted: Extract) -> None:
    archive = zip_of(
        ZipItem(b"bin/", mode=stat.S_IFDIR | 0o700, method=0),
        ZipItem(b"bin/run", b"#!/bin/sh\n", mode=stat.S_IFREG | 0o755),
        ZipItem(b"run", b"bin/run", mode=stat.S_IFLNK | 0o777, method=0),
    )

    context = extracted(archive)

    assert mode_of(context / "bin/run") == 0o755
    assert context.joinpath("run").readlink() == Path("bin/run")


def test_a_zip_made_on_windows_has_folders_and_no_executables(extracted: Extract) -> None:
    archive = zip_of(
        ZipItem(b"src\\main.py", b"x", creator=0, mode=0o777),
        ZipItem(b"empty", creator=0, mode=0, dos_attributes=0x10),
    )

    context = extracted(archive)

    assert mode_of(context / "src/main.py") == 0o644
    assert context.joinpath("empty").is_dir()


def test_a_zip_written_by_the_standard_library_to_a_pipe_is_extracted(extracted: Extract) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    buffer = Pipe()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Dockerfile", "FROM scratch\n")
        with archive.open("big", "w", force_zip64=True) as file:
            file.write(b"y" * 100_000)

    context = extracted(buffer.getvalue())

    assert context.joinpath("big").read_bytes() == b"y" * 100_000


def test_a_zip_whose_end_record_is_zip64_is_extracted(extracted: Extract) -> None:
    raw = zip_of(ZipItem(b"more", b"x"))
    end = raw.rindex(b"PK\x05\x06")
    _, _, _, _, count, size, offset, _ = struct.unpack("<4s4H2LH", raw[end:])
    wide = struct.pack("<2L4Q", 0, 0, count, count, size, offset)
    end_64 = struct.pack("<4sQ2H", b"PK\x06\x06", 44, 45, 45) + wide
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    full = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)

    context = extracted(raw[:end] + end_64 + locator + full)

    assert context.joinpath("more").exists()


def test_utf8_names_without_the_flag_are_read_as_utf8(extracted: Extract) -> None:
    archive = zip_of(ZipItem("naïve.txt".encode(), b"x"))

    context = extracted(archive)

    assert context.joinpath("naïve.txt").exists()


def test_other_names_without_the_flag_are_read_as_cp437(extracted: Extract) -> None:
    archive = zip_of(ZipItem("é.txt".encode("cp437"), b"x"))

    context = extracted(archive)

    assert context.joinpath("é.txt").exists()


def test_a_zip_with_nothing_beside_its_folder_needs_a_dockerfile_there(
    extracted: Extract,
) -> None:
    archive = zip_of_only(ZipItem(b"app/Dockerfile", b"FROM scratch\n"))

    context = extracted(archive)

    assert context.joinpath("Dockerfile").exists()
