"""`python -m entrypoints.worker sweep`, and the sweep that a worker makes by itself."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from adapters.volume.installation_mark import MARK
from entrypoints.dev.service_processes import ServiceProcess, clean_environment
from entrypoints.worker.command_line import run_command
from tests.integration.http.raw_requests import wait_until
from tests.integration.postgres.installation import Installation
from tests.integration.worker_process.conftest import WorkerSettings
from tests.integration.worker_process.unread_command import run_unread

ENGINE_ID = "5f0c5a2e-1111-2222-3333-444455556666"
INSTALLATION_ID = "test"
DIGEST = "sha256:" + "a" * 64
TAG = "nvidia-app-uada-i999:b1"
UPLOAD = ".incoming/" + "f" * 32

# An engine with one image of ours, whose tag nobody needs.
_CLIENT = """#!/bin/sh
[ ! -e "$ENGINE/away" ] || {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}
case "$*" in
    *"image ls"*) [ -e "$ENGINE/removed" ] || echo {digest} ;;
    *"image inspect"*) cat "$ENGINE/images.json" ;;
    *"image rm"*)
        [ ! -e "$ENGINE/fails" ] || {{ echo "Error response from daemon: EOF" >&2; exit 1; }}
        for last; do :; done
        echo "$last" >>"$ENGINE/removed" ;;
    *version*) echo 26.1.5 ;;
    *info*) echo {engine_id} ;;
    *) exit 1 ;;
esac
"""
_IMAGE = {
    "Id": DIGEST,
    "RepoTags": [TAG],
    "Created": "2020-01-01T00:00:00Z",
    "Config": {
        "Labels": {
            "orchestrator.installation_id": INSTALLATION_ID,
            "orchestrator.image_id": "999",
            "orchestrator.build_id": "1",
        }
    },
    "Metadata": {"LastTagTime": "2020-01-02T00:00:00.5Z"},
}

Settings = dict[str, str]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The folder that is the engine."""
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "images.json").write_text(json.dumps([_IMAGE]))
    return folder


@pytest.fixture
def settings(
    database: str, worker_settings: WorkerSettings, engine: Path, tmp_path: Path
) -> Settings:
    settings = worker_settings(database)
    client = tmp_path / "bin" / "docker"
    client.write_text(_CLIENT.format(digest=DIGEST, engine_id=ENGINE_ID))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO engines (engine_id, host, version, reachable, passed_at)"
            f" VALUES ('{ENGINE_ID}', '127.0.0.1', '26.1.5', true, now())"
        )
    return {**settings, "ENGINE": str(engine), "INSTALLATION_ID": INSTALLATION_ID}


@pytest.fixture
def volume(settings: Settings) -> Path:
    """A volume with an upload and a context that were left behind long ago, and a fresh one."""
    volume = Path(settings["BUILD_CONTEXT_BASE_DIR"])
    with Installation(settings["DATABASE_URL"], volume):
        # It makes the folders, and marks the volume as its own.
        pass
    for name, age_seconds in ((UPLOAD, 7200), ("ada/999/context/file", 7200), ("ada/7/f", 7200)):
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_text("content")
        then = time.time() - age_seconds
        for path in (volume / name, *(volume / name).parents[: name.count("/")]):
            os.utime(path, (then, then))
    (volume / ".incoming" / ("e" * 32)).touch()
    return volume


@pytest.fixture
def run(settings: Settings) -> Run:
    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "entrypoints.worker", "sweep", *arguments],
            env=clean_environment({**settings, **changed}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def files(volume: Path) -> set[str]:
    found = {str(path.relative_to(volume)) for path in volume.rglob("*") if path.is_file()}
    return found - {MARK}


def facts(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def test_a_dry_run_shows_each_thing_and_a_total_and_changes_nothing(
    run: Run, volume: Path, engine: Path, settings: Settings
) -> None:
    before = files(volume)

    ended = run("--dry-run")

    *things, total = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(line.startswith("would remove kind=") for line in things)
    told = {facts(line)["name"]: facts(line) for line in things}
    assert {name: fact["kind"] for name, fact in told.items()} == {
        UPLOAD: "upload",
        "ada/999": "context",
        TAG: "tag",
    }
    assert told["ada/999"]["bytes"] == "7"
    assert int(told["ada/999"]["age_seconds"]) >= 7200
    assert "bytes" not in told[TAG]
    assert total == "would sweep things=3 bytes=14 kept=0"
    assert files(volume) == before
    assert not (engine / "removed").exists()
    assert list(Path(settings["TMPDIR"]).iterdir()) == []


def test_a_sweep_removes_it_and_the_next_one_finds_nothing(
    run: Run, volume: Path, engine: Path
) -> None:
    ended = run()
    again = run()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "swept things=3 bytes=14 kept=0"
    assert ended.stdout.count("removed kind=") == 3
    assert files(volume) == {".incoming/" + "e" * 32, "ada/7/f"}
    assert (engine / "removed").read_text() == f"{TAG}\n"
    assert (again.returncode, again.stdout) == (0, "swept things=0 bytes=0 kept=0\n")


def test_what_cannot_be_removed_is_told_and_is_exit_1(run: Run, volume: Path, engine: Path) -> None:
    (engine / "fails").touch()

    ended = run()

    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "swept things=2 bytes=14 kept=1"
    assert any(
        line.startswith("kept kind=tag") and line.endswith("reason=EOF")
        for line in ended.stdout.splitlines()
    )
    assert ended.stderr == "worker: 1 of the leftovers could not be removed\n"


def test_an_engine_that_is_away_is_exit_1_and_nothing_is_removed(
    run: Run, volume: Path, engine: Path
) -> None:
    (engine / "away").touch()
    before = files(volume)

    ended = run()

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == ("worker: the engine failed: Cannot connect to the Docker daemon\n")
    assert files(volume) == before


def test_a_volume_of_another_installation_is_exit_2_and_nothing_is_removed(
    run: Run, volume: Path
) -> None:
    (volume / MARK).write_text("another\n")
    before = files(volume)

    ended = run()

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        "worker: BUILD_CONTEXT_BASE_DIR: the volume is installation another's, the database "
    )
    assert len(ended.stderr.splitlines()) == 1
    assert files(volume) == before


def test_too_much_that_is_unknown_is_exit_2_until_an_operator_insists(
    run: Run, volume: Path
) -> None:
    for image_id in range(1000, 1005):
        shutil.copytree(volume / "ada" / "999", volume / "ada" / str(image_id))
    before = files(volume)

    shown, ended = run("--dry-run"), run()
    refused = files(volume)
    forced = run("--force")

    doubt = "worker: of 7 things of kind context the database knows nothing of 6: "
    assert (shown.returncode, shown.stdout.count("kind=context")) == (2, 6)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert shown.stderr == ended.stderr
    assert ended.stderr.startswith(doubt)
    assert ended.stderr.endswith("--force\n")
    assert refused == before
    assert (forced.returncode, forced.stderr) == (0, "")
    assert files(volume) == {".incoming/" + "e" * 32, "ada/7/f"}


def test_a_database_that_is_away_is_exit_1_in_one_line_without_its_password(run: Run) -> None:
    ended = run(DATABASE_URL="postgresql://x:swordfish@127.0.0.1:1/nowhere")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "worker: the database cannot be reached\n"


def test_a_database_without_tables_is_exit_1_in_one_line(run: Run, bare_database: str) -> None:
    ended = run(DATABASE_URL=bare_database)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "worker: the database is not migrated: run the migrations first\n"


def test_a_volume_that_is_away_is_exit_1_in_one_line(run: Run) -> None:
    ended = run(BUILD_CONTEXT_BASE_DIR="/nowhere/volume")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("worker: BUILD_CONTEXT_BASE_DIR: ")
    assert len(ended.stderr.splitlines()) == 1


def test_an_engine_in_quarantine_is_exit_2_and_nothing_is_removed(
    run: Run, volume: Path, database: str
) -> None:
    before = files(volume)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE engines SET quarantined_at = now(), quarantine_reason = 'why'")

    ended = run()

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "worker: the engine is in quarantine: why\n"
    assert files(volume) == before


@pytest.mark.parametrize("arguments", [["--dry"], ["now"], ["--dry-run=yes"]])
def test_a_wrong_argument_is_exit_2_in_one_line(
    settings: Settings,
    volume: Path,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(volume)

    code = run_command(["sweep", *arguments], settings)

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert told.err.startswith("worker: ")
    assert len(told.err.splitlines()) == 1
    assert files(volume) == before


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", ""), ("SWEEP_GRACE_SECONDS", "5"), ("PORT", "x")]
)
def test_a_wrong_setting_is_exit_2_and_named(
    settings: Settings, name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(["sweep"], {**settings, name: value})

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert told.err.startswith("worker: ")
    assert name in told.err
    assert len(told.err.splitlines()) == 1


def test_a_reader_that_has_gone_away_ends_it_quietly(settings: Settings, volume: Path) -> None:
    assert run_unread("sweep", settings) == (141, b"")


def test_a_worker_sweeps_by_itself_and_counts_it(
    settings: Settings, volume: Path, engine: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with ServiceProcess("worker", settings, log):
        wait_until(lambda: log.exists() and '"event": "sweep"' in log.read_text(), "it sweeps")

    assert files(volume) == {".incoming/" + "e" * 32, "ada/7/f"}
    assert (engine / "removed").read_text() == f"{TAG}\n"
    assert log.read_text().count('"event": "leftover removed"') == 3
