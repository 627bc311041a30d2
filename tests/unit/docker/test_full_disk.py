"""A full disk costs a build its log, for as long as it is full, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from application.errors import BuildFailed
from tests.integration.small_disk import SmallDisk, small_disk
from tests.unit.docker.shims import BUILT, DOCKER_ID, Shim, build_order

# A build that writes a line and ends as a file says; then it is asked which image it made.
_CLIENT = f"""
case "$*" in
    *"image inspect"*) echo '{BUILT}' ;;
    *) echo "#1 a step"; echo "ERROR: failed to solve: exit code: 7" >&2
       exit "$(cat "$OUTCOME")" ;;
esac
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "volume", 1024 * 1024) as disk:
        yield disk


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "outcome"
    path.write_text("0")
    monkeypatch.setenv("OUTCOME", str(path))
    return path


@pytest.mark.parametrize("filled", [SmallDisk.fill, SmallDisk.fill_names])
def test_a_build_has_its_outcome_without_its_log_and_the_next_one_has_both(
    disk: SmallDisk,
    outcome: Path,
    shim: Shim,
    tmp_path: Path,
    filled: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = shim(_CLIENT)
    order = replace(build_order(tmp_path, 20.0), log=disk.path / "ada/7/builds/70.log")
    assert callable(filled)
    filled(disk)

    made = engine.build(order)
    outcome.write_text("1")
    with pytest.raises(BuildFailed, match="exit code: 7"):
        engine.build(order)
    left = order.log.read_text() if order.log.exists() else ""
    disk.free()
    outcome.write_text("0")
    engine.build(order)

    assert made == f"sha256:{DOCKER_ID}"
    assert left == ""
    assert order.log.read_text().startswith("#1 a step\n")
    assert capsys.readouterr().out.count("build log not written") == 2
