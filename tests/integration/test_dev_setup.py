"""The set-up scripts, as somebody on a bare machine meets them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from entrypoints.dev.folders import REPOSITORY

# What venv.sh calls besides Python.
_PROGRAMS = ("dirname", "sha256sum", "cat", "rm")


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """A clone with an empty `.venv`, beside `bin`, a PATH without any Python."""
    clone = tmp_path / "clone"
    (clone / "entrypoints" / "dev").mkdir(parents=True)
    shutil.copy(REPOSITORY / "entrypoints" / "dev" / "venv.sh", clone / "entrypoints" / "dev")
    (clone / "requirements-dev.lock").write_text("")
    (tmp_path / "bin").mkdir()
    for program in _PROGRAMS:
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    return clone


def _set_up(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", clone / "entrypoints" / "dev" / "venv.sh"],
        env={"PATH": str(clone.parent / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_the_set_up_refuses_in_one_line(bare_clone: Path) -> None:
    done = _set_up(bare_clone)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Python 3.11 or later")
    assert done.stderr.count("\n") == 1


def test_a_python_that_fails_to_run_is_passed_over(bare_clone: Path) -> None:
    shim = bare_clone.parent / "bin" / "python3.13"
    shim.write_text("#!/bin/sh\necho 'version 3.13 is not set' >&2\nexit 127\n")
    shim.chmod(0o755)

    done = _set_up(bare_clone)

    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or later")


def test_a_finished_environment_is_left_alone(bare_clone: Path) -> None:
    (bare_clone / ".venv" / "bin").mkdir(parents=True)
    (bare_clone / ".venv" / "bin" / "python").symlink_to("/bin/true")
    (bare_clone / ".venv" / ".installed").write_text(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"  # SHA-256 of nothing
    )

    done = _set_up(bare_clone)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_locks_name_no_address() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (REPOSITORY / lock).read_text()


def test_make_without_a_target_lists_the_targets() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert listed == [
        *("demo", "up", "test", "fault", "fault-long", "bench-relay"),
        "bench-recovery",
        "test-images",
        *("check", "lock"),
    ]
