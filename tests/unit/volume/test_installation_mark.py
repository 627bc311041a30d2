"""The mark of an installation on the volume is there whole, or not at all, and once."""

import errno
import os
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from adapters.volume.installation_mark import VolumeInstallationMark


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "volume"
    VolumeContextStore(base).prepare()
    return base


def test_a_volume_without_one_has_none(base: Path) -> None:
    assert VolumeInstallationMark(base).read() is None


def test_it_is_read_as_it_was_written_and_nothing_else_is_left(base: Path) -> None:
    mark = VolumeInstallationMark(base)

    mark.write("5b0e")

    assert mark.read() == "5b0e"
    assert (base / ".installation").read_text() == "5b0e\n"
    assert list((base / ".incoming").iterdir()) == []


def test_of_two_that_write_at_once_the_first_stays(base: Path) -> None:
    VolumeInstallationMark(base).write("5b0e")

    VolumeInstallationMark(base).write("9c4d")

    assert VolumeInstallationMark(base).read() == "5b0e"
    assert list((base / ".incoming").iterdir()) == []


def test_one_that_a_crash_left_empty_is_none_and_is_written_anew(base: Path) -> None:
    mark = VolumeInstallationMark(base)
    (base / ".installation").touch()

    before = mark.read()
    mark.write("5b0e")

    assert (before, mark.read()) == (None, "5b0e")


def test_a_file_system_without_hard_links_bears_one_too(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    mark = VolumeInstallationMark(base)

    mark.write("5b0e")

    assert mark.read() == "5b0e"


def test_whatever_else_stands_there_is_told_shortened(base: Path) -> None:
    (base / ".installation").write_bytes(b"\xff" * 5_000)

    read = VolumeInstallationMark(base).read()

    assert read is not None
    assert len(read) == 200


def test_a_volume_that_cannot_be_read_is_not_one_without_a_mark(base: Path) -> None:
    (base / ".installation").mkdir()

    with pytest.raises(IsADirectoryError):
        VolumeInstallationMark(base).read()
