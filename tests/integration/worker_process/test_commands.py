"""The worker's commands: what they write where, and how they end."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from entrypoints.dev.service_processes import clean_environment
from entrypoints.worker.command_line import run_command
from tests.integration.postgres.installation import Installation
from tests.integration.worker_process.conftest import WorkerSettings
from tests.integration.worker_process.unread_command import run_unread

ENGINE = "5f0c5a2e-1111-2222-3333-444455556666"
BOUND_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def installation(database: str, tmp_path: Path) -> Iterator[Installation]:
    with Installation(database, tmp_path / "volume") as installation:
        yield installation


@pytest.fixture
def settings(database: str, worker_settings: WorkerSettings) -> dict[str, str]:
    return worker_settings(database)


@pytest.fixture
def run(
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command in this process: another one takes seconds to begin."""
    monkeypatch.setenv("PATH", settings["PATH"])

    def run(*arguments: str, **changed: str) -> Ended:
        code = run_command(arguments, settings | changed)
        written = capsys.readouterr()
        return Ended(code, written.out, written.err)

    return run


def register(
    installation: Installation, engine_id: str = ENGINE, detail: str | None = None
) -> None:
    installation.registry.heartbeat(
        engine_id, "10.0.0.1", "fake", reachable=True, detail=detail, address="tcp://engine:2376"
    )


def test_an_installation_that_nobody_uses_is_audited_clean(
    settings: dict[str, str], installation: Installation
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "entrypoints.worker", "audit"],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        "audited containers=0 images=0 events=0 engine=none in_flight=0 differences=0\n"
    )


def test_differences_are_sorted_lines_and_exit_code_1(run: Run, installation: Installation) -> None:
    installation.ready_image()
    installation.execute("INSERT INTO hostnames VALUES ('left.example', 'user-9')")
    installation.execute("UPDATE outbox SET topic = 'two' || chr(10) || 'lines' WHERE sequence = 1")

    ended = run("audit", "--settle", "0")

    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [line.split(" detail=")[0].partition(" event=")[0] for line in lines[:2]] == [
        "kind=hostname-leak hostname=left.example",
        "kind=outbox",
    ]
    assert "two\\nlines" in lines[1]
    assert lines[2:] == [
        "engine engine-1 not audited: it is not the one at DOCKER_HOST",
        "audited containers=0 images=1 events=2 engine=none in_flight=0 differences=2",
    ]


def test_an_engine_that_is_not_audited_is_no_success_unless_that_is_allowed(
    run: Run, installation: Installation
) -> None:
    installation.ready_image()

    refused = run("audit", "--settle", "0")
    allowed = run("audit", "--settle", "0", "--allow-unaudited")

    assert refused.returncode == 1
    assert refused.stderr == (
        "worker: DOCKER_HOST: not every engine that holds something is there (--allow-unaudited)\n"
    )
    assert (allowed.returncode, allowed.stderr) == (0, "")
    assert allowed.stdout == refused.stdout
    assert "engine engine-1 not audited: it is not the one at DOCKER_HOST\n" in allowed.stdout


def test_an_engine_that_gives_no_list_is_one_line_and_exit_code_1(
    run: Run, installation: Installation
) -> None:
    register(installation)

    ended = run("audit", "--settle", "0")

    assert ended.returncode == 1
    assert ended.stderr.startswith("worker: DOCKER_HOST: ")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout.endswith("differences=0\n")


def test_a_volume_that_cannot_be_read_is_one_line_and_exit_code_1(
    run: Run, installation: Installation
) -> None:
    ended = run("audit", BUILD_CONTEXT_BASE_DIR="/nonexistent/volume")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "worker: BUILD_CONTEXT_BASE_DIR: No such file or directory\n"


@pytest.mark.parametrize("command", [["audit"], ["engines"], ["restored"], ["trust", ENGINE]])
def test_a_database_without_tables_is_one_line_and_exit_code_1(
    run: Run, bare_database: str, command: list[str]
) -> None:
    ended = run(*command, DATABASE_URL=bare_database)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "worker: DATABASE_URL: the database is not migrated: run the migrations\n"
    )


def test_a_database_that_is_away_is_one_line_and_exit_code_1(run: Run) -> None:
    ended = run("engines", DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/none")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "worker: DATABASE_URL: the database cannot be reached\n"


def test_a_quarantine_is_shown_and_ended_once(run: Run, installation: Installation) -> None:
    register(installation)
    installation.execute(
        "UPDATE engines SET quarantined_at = now(), quarantine_reason = 'odd' || chr(10) || 'one'"
        f" WHERE engine_id = '{ENGINE}'"
    )

    shown, trusted, again = run("engines"), run("trust", ENGINE), run("trust", ENGINE)
    unknown, after = run("trust", "nobody"), run("engines")

    (line,) = (line for line in shown.stdout.splitlines() if ENGINE in line)
    assert line.startswith(f"engine={ENGINE} address=tcp://engine:2376 host=10.0.0.1 reachable=yes")
    assert line.endswith("reason=odd\\none")
    assert (trusted.returncode, trusted.stdout) == (0, f"trusted engine={ENGINE}\n")
    assert (again.returncode, again.stderr) == (2, "worker: it is not in quarantine\n")
    assert (unknown.returncode, unknown.stderr) == (2, "worker: no such engine\n")
    assert "quarantine=none reason=none" in after.stdout


def test_an_engine_is_lost_only_when_it_was_not_reached(
    run: Run, installation: Installation
) -> None:
    container_id = installation.run_container()

    early = run("lost", "engine-1", "--reason", "burnt")
    installation.execute("UPDATE engines SET reached_at = now() - interval '2 minutes'")
    late = run("lost", "engine-1", "--reason", "burnt")
    again = run("lost", "engine-1", "--reason", "burnt")

    assert early.returncode == 2
    assert early.stderr.startswith("worker: a worker reached it ")
    assert (late.returncode, late.stdout) == (0, "lost engine=engine-1 images=1 containers=1\n")
    assert again.stdout == "lost engine=engine-1 images=0 containers=0\n"
    assert installation.row("containers", container_id)["status"] == "deleted"


def test_restored_tells_what_it_raised_or_who_is_in_the_way(
    run: Run, installation: Installation, database: str
) -> None:
    installation.run_container()
    with psycopg.connect(database, application_name="orchestrator-api"):
        refused = run("restored")

    ended = run("restored")

    assert refused.returncode == 2
    assert "orchestrator-api" in refused.stderr
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("restored images=1 containers=1 raised_by=1000000\n")
    assert ended.stdout.count("identity table=") == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_an_audit_that_waits(
    settings: dict[str, str],
    installation: Installation,
    database: str,
    number: signal.Signals,
    code: int,
) -> None:
    installation.create(installation.ready_image())
    with subprocess.Popen(
        [sys.executable, "-m", "entrypoints.worker", "audit", "--settle", "600"],
        env=clean_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _until_connected(database)
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND_SECONDS)

    assert (process.returncode, out) == (code, "")
    assert err == f"worker: interrupted by {number.name}\n"


def test_a_reader_that_goes_away_ends_it_quietly(
    settings: dict[str, str], installation: Installation
) -> None:
    assert run_unread("engines", settings) == (141, b"")


def _until_connected(database: str) -> None:
    """Wait until the command has looked at the database, so that it waits for what comes of it."""
    with psycopg.connect(database, autocommit=True) as beside:
        for _ in range(600):
            row = beside.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = 'orchestrator-command'"
                " AND datname = current_database() AND query <> ''"
            ).fetchone()
            if row is not None:
                return
            beside.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("the command never came to the database")
