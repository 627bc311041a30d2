"""Api and worker serve on the volume of their own installation alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.volume.installation_mark import MARK
from entrypoints.dev.service_processes import COMMANDS, ServiceProcess, clean_environment
from tests.integration.postgres.installation import Installation
from tests.integration.worker_process.conftest import WorkerSettings

NAMES = ("api", "worker")

Settings = dict[str, str]


@pytest.fixture
def settings(database: str, worker_settings: WorkerSettings) -> Settings:
    return worker_settings(database)


@pytest.fixture
def volume(settings: Settings) -> Path:
    return Path(settings["BUILD_CONTEXT_BASE_DIR"])


@pytest.fixture
def installation(database: str, volume: Path) -> Iterator[Installation]:
    with Installation(database, volume) as installation:
        yield installation


def refusal(name: str, settings: Settings) -> str:
    """Start a process that is to end by itself; returns the one line that it tells."""
    ended = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", NAMES)
def test_another_installations_volume_is_refused(
    name: str, settings: Settings, volume: Path
) -> None:
    volume.mkdir()
    (volume / MARK).write_text("9c4d\n")

    assert refusal(name, settings).startswith(
        f"{name}: BUILD_CONTEXT_BASE_DIR: the volume is installation 9c4d's, the database "
    )
    assert (volume / MARK).read_text() == "9c4d\n"


def test_a_volume_that_is_not_mounted_is_refused_while_images_are_recorded(
    settings: Settings, volume: Path, installation: Installation, tmp_path: Path
) -> None:
    installation.upload()
    volume.rename(tmp_path / "unmounted")

    told = refusal("worker", settings)

    (build,) = installation.rows("SELECT status, attempt FROM builds")
    assert "of 1 recorded images none is on the volume: is it mounted?" in told
    assert build == {"status": "queued", "attempt": 0}


def test_an_installation_from_before_there_were_marks_is_served_and_marked(
    settings: Settings, volume: Path, installation: Installation, tmp_path: Path
) -> None:
    installation.upload()
    (volume / MARK).unlink()

    with ServiceProcess("api", settings, tmp_path / "log"):
        marked = (volume / MARK).read_text()

    assert marked == f"{installation.registry.installation_id()}\n"
