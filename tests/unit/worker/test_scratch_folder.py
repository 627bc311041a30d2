"""Scratch folders go with their worker, or with the next one."""

import os
import subprocess
import sys
from pathlib import Path

from entrypoints.dev.folders import REPOSITORY
from entrypoints.worker.scratch_folder import ScratchFolder

_DIES = """
import os, pathlib, sys
from entrypoints.worker.scratch_folder import ScratchFolder

folder = ScratchFolder(pathlib.Path(sys.argv[1]))
(folder.path / "pid").touch()
os._exit(9)
"""


def test_a_folder_is_private_and_removed_with_everything_in_it(tmp_path: Path) -> None:
    folder = ScratchFolder(tmp_path)
    (folder.path / "pid").touch()
    mode = folder.path.stat().st_mode & 0o777

    folder.remove()

    assert mode == 0o700
    assert str(os.getpid()) in folder.path.name
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    living = ScratchFolder(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", _DIES, str(tmp_path)], env=environment, check=False)
    left_behind = set(tmp_path.iterdir()) - {living.path}

    new = ScratchFolder(tmp_path)

    assert len(left_behind) == 1
    assert set(tmp_path.iterdir()) == {living.path, new.path}


def test_what_only_looks_like_one_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (tmp_path / "orch-cli-link").symlink_to(elsewhere)
    (tmp_path / "orch-cli-file").touch()

    ScratchFolder(tmp_path)

    assert (elsewhere / "precious").exists()
    assert (tmp_path / "orch-cli-file").exists()
