"""A worker or an api whose database is no use yet waits for it, and tells whoever asks why."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.database_server import DatabaseServer
from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.ports import free_ports
from entrypoints.dev.service_processes import ServiceProcess, clean_environment
from migrations.runner import migrate
from tests.integration.http.raw_requests import wait_until
from tests.integration.worker_process.conftest import WorkerSettings
from tests.integration.worker_process.freezing_proxy import FreezingProxy

NAMES = ("api", "worker")
GONE_AGAIN = "DATABASE_URL: the database cannot be reached any more"
NO_TABLES = "DATABASE_URL: the database has no tables yet: run the migrations first"


@pytest.fixture
def unmigrated(postgres: DatabaseServer, tmp_path: Path) -> Iterator[str]:
    name = f"orchestrator_unmigrated_{tmp_path.name}".replace("-", "_")[:60]
    yield postgres.create_database(name)
    postgres.drop_database(name)


def _readiness(process: ServiceProcess) -> tuple[int, str]:
    try:
        answer = httpx.get(f"{process.url}/readyz", timeout=5)
    except httpx.TransportError:
        return 0, "nobody listens"
    return answer.status_code, answer.text


@pytest.mark.parametrize("name", NAMES)
def test_migrations_are_waited_for_and_their_absence_is_told(
    unmigrated: str, worker_settings: WorkerSettings, tmp_path: Path, name: str
) -> None:
    process = ServiceProcess(name, worker_settings(unmigrated), tmp_path / "log")

    process.start(ready=False)
    wait_until(lambda: NO_TABLES in _readiness(process)[1], "it tells what it waits for")
    waiting = _readiness(process)
    request = httpx.post(f"{process.url}/api/containers/1", timeout=5)
    migrate(unmigrated)
    wait_until(lambda: _readiness(process)[0] == 200, "it is ready")
    process.stop()

    log = (tmp_path / "log").read_text()
    assert waiting[0] == 503
    assert request.status_code == 503
    assert request.headers["retry-after"] == "5"
    assert request.json()["type"] == "urn:orchestrator:problem:database-unavailable"
    assert "migrations" not in request.text
    assert log.count(NO_TABLES) == 1
    assert "Traceback" not in log


@pytest.mark.parametrize("name", NAMES)
def test_a_database_that_comes_late_is_waited_for(
    database: str, worker_settings: WorkerSettings, tmp_path: Path, name: str
) -> None:
    away = FreezingProxy(database, accepting=False)
    process = ServiceProcess(name, worker_settings(away.url), tmp_path / "log")

    process.start(ready=False)
    wait_until(lambda: "refused" in _readiness(process)[1], "it tells what it waits for")
    waiting = _readiness(process)
    with away:
        wait_until(lambda: _readiness(process)[0] == 200, "it is ready")
        process.stop()

    assert waiting[0] == 503
    assert "DATABASE_URL: the database cannot be used: connection" in waiting[1]


def test_a_database_that_goes_away_again_at_the_start_is_waited_for_until_it_is_back(
    database: str, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    # Whoever starts looks at the database over one connection, and works over others.
    # It comes back on its port, which no outgoing connection may have taken meanwhile.
    (port,) = free_ports(1)
    with FreezingProxy(database, port=port, most=1) as first:
        process = ServiceProcess("worker", worker_settings(first.url), log)
        process.start(ready=False)
        wait_until(lambda: GONE_AGAIN in log.read_text(), "it looks again")
        # For longer than the pool tries by itself.
        wait_until(lambda: "reconnection attempt in pool" in log.read_text(), "it is long away")
        wait_until(lambda: "refused" in _readiness(process)[1], "it tells what it waits for")
    with FreezingProxy(database, port=port):
        wait_until(lambda: _readiness(process)[0] == 200, "it is ready")
        process.stop()

    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_one_that_still_waits_ends_at_once_when_it_is_asked_to(
    worker_settings: WorkerSettings, tmp_path: Path, name: str
) -> None:
    (port,) = free_ports(1)
    url = f"postgresql://nobody:swordfish@127.0.0.1:{port}/none"
    process = ServiceProcess(name, worker_settings(url), tmp_path / "log")
    process.start(ready=False)
    running = process.process
    assert running is not None

    wait_until(lambda: "refused" in _readiness(process)[1], "it waits")
    told = _readiness(process)[1] + (tmp_path / "log").read_text()
    process.stop()

    assert running.exit_code == 128 + signal.SIGTERM
    assert "swordfish" not in told


def test_no_connection_is_refused_while_the_start_becomes_the_service(
    unmigrated: str, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    process = ServiceProcess("api", worker_settings(unmigrated), tmp_path / "log")
    process.start(ready=False)
    host, port = process.url.removeprefix("http://").split(":")
    refused = 0
    migrate(unmigrated)

    while _readiness(process)[0] != 200:
        try:
            socket.create_connection((host, int(port)), 5).close()
        except ConnectionRefusedError:
            refused += 1
    process.stop()

    assert refused == 0


def test_missing_certificates_end_the_worker_with_one_line(
    worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "entrypoints.worker"],
        env=clean_environment(worker_settings("postgresql:///nobody-is-asked") | tls),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        f"worker: DOCKER_CERT_PATH: {tmp_path}/ca.pem: No such file or directory\n"
    )
