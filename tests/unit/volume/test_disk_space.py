"""When the volume has too little room, and how a full one is told."""

import errno
import shutil
from pathlib import Path

import pytest

from adapters.volume.disk_space import VolumeDiskSpace, full_disk_translated
from application.errors import InsufficientStorage


def test_a_volume_with_room_has_no_shortage(tmp_path: Path) -> None:
    space = VolumeDiskSpace(tmp_path, 1)

    assert space.shortage() is None
    space.admit(1)


def test_below_the_minimum_nothing_is_admitted_and_the_setting_is_named(tmp_path: Path) -> None:
    minimum = shutil.disk_usage(tmp_path).total + 1
    space = VolumeDiskSpace(tmp_path, minimum)

    assert (
        space.shortage()
        == f"less than {minimum} bytes are free on the volume (MIN_FREE_DISK_BYTES)"
    )
    with pytest.raises(InsufficientStorage):
        space.admit()


def test_what_would_take_it_below_the_minimum_is_not_admitted(tmp_path: Path) -> None:
    space = VolumeDiskSpace(tmp_path, 1)

    with pytest.raises(InsufficientStorage):
        space.admit(shutil.disk_usage(tmp_path).total)


def test_zero_switches_it_off(tmp_path: Path) -> None:
    space = VolumeDiskSpace(tmp_path, 0)

    assert space.shortage() is None
    space.admit(1 << 60)


def test_a_volume_that_tells_nothing_is_not_short(tmp_path: Path) -> None:
    assert VolumeDiskSpace(tmp_path / "nowhere", 1).shortage() is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_told_alike(code: int) -> None:
    with pytest.raises(InsufficientStorage), full_disk_translated():
        raise OSError(code, "no room")


def test_a_disk_that_fails_otherwise_is_told_as_it_is() -> None:
    with pytest.raises(OSError, match="broken"), full_disk_translated():
        raise OSError(errno.EIO, "broken")
