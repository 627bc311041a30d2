"""A worker or an api that is started before the migrations waits for them, and then says so."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entrypoints.dev.database_server import DatabaseServer
from entrypoints.dev.service_processes import ServiceProcess, clean_environment
from migrations.runner import migrate
from tests.integration.http.raw_requests import wait_until
from tests.integration.worker_process.conftest import WorkerSettings

MODULES = {"api": "entrypoints.http.__main__", "worker": "entrypoints.worker.__main__"}

_IMPATIENT = """
import sys
from {module} import main
from entrypoints import start_up

start_up.CONNECT_SECONDS = 2.0
sys.exit(main())
"""


@pytest.fixture
def unmigrated(postgres: DatabaseServer, tmp_path: Path) -> Iterator[str]:
    name = f"orchestrator_unmigrated_{tmp_path.name}".replace("-", "_")[:60]
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("installation_id", ["", "given"])
def test_a_database_without_tables_ends_it_with_one_line(
    unmigrated: str, worker_settings: WorkerSettings, name: str, installation_id: str
) -> None:
    settings = worker_settings(unmigrated) | {"INSTALLATION_ID": installation_id}
    ended = subprocess.run(
        [sys.executable, "-c", _IMPATIENT.format(module=MODULES[name])],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    for_operators = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert ended.returncode == 1
    assert for_operators == [
        f"{name}: DATABASE_URL: the database has no tables yet: run the migrations first"
    ]
    assert "Traceback" not in ended.stderr


def test_migrations_that_run_at_the_same_time_are_waited_for(
    unmigrated: str, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    worker = ServiceProcess("worker", worker_settings(unmigrated), log)

    with ThreadPoolExecutor(1) as background:
        started = background.submit(worker.start)
        wait_until(lambda: log.exists() and "waiting for the" in log.read_text(), "it waits")
        migrate(unmigrated)
        started.result(60)
    worker.stop()

    assert "Traceback" not in log.read_text()
