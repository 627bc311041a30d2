"""Api and worker as processes of their own, on a real engine; each can be armed, and die."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from adapters.docker.container_engine import DockerContainerEngine
from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.ports import free_ports
from entrypoints.dev.service_processes import COMMANDS, ServiceProcess, clean_environment
from tests.contracts.fake_docker import Snapshot
from tests.contracts.subjects import wait_until
from tests.fault.service.agreement import differences, unsettled

_BUILD_SECONDS = 240.0
# A worker has to start, to find its engine, and to come by its place.
_DEATH_SECONDS = 90.0
# A place after the outcome is passed a moment after it.
_LATER_SECONDS = 3.0
# The longest lease is that of a start, 38 s; the rest is for a slow machine.
SETTLED_SECONDS = 90.0


class RealService:
    """An installation without a relay: its outbox keeps everything that is told.

    Args:
        folder: for the volume and the logs.
        ports: HOST_PORT_RANGE, nobody else's.
    """

    def __init__(self, folder: Path, database_url: str, docker_host: str, ports: str) -> None:
        api_port, self._armed_port, worker_port = free_ports(3)
        self.folder = folder
        self.volume = folder / "volume"
        name = f"fault-{uuid4().hex[:8]}"
        self.settings = {
            "DATABASE_URL": database_url,
            "DOCKER_HOST": docker_host,
            "INSTALLATION_ID": name,
            "BUILD_CONTEXT_BASE_DIR": str(self.volume),
            "AUTH_MODE": "none",
            # Tags bear user and image: another installation of the same user would share them.
            "DEV_USER_ID": name,
            "PORT": str(api_port),
            "WORKER_PORT": str(worker_port),
            "HOST_PORT_RANGE": ports,
            "LEASE_SECONDS": "4",
            "STOP_GRACE_SECONDS": "3",
            "STARTUP_TIMEOUT_SECONDS": "20",
            "RECONCILE_INTERVAL_SECONDS": "2",
            "RESTART_BACKOFF_SECONDS": "1",
        }
        self._engine = DockerContainerEngine(
            docker_host=docker_host,
            installation_id=self.settings["INSTALLATION_ID"],
            scratch=folder / "scratch",
        )
        self._armed: list[GuardedProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._armed:
            process.kill()
        self._remove_everything()

    # ---- processes -------------------------------------------------------------------------

    @contextlib.contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """Run an api that nobody arms."""
        # It has neither a client nor an address of the engine.
        settings = self.settings | {"DOCKER_HOST": "unix:///nonexistent"}
        with (
            ServiceProcess("api", settings, self.folder / "api.log") as api,
            httpx.Client(base_url=api.url, timeout=120.0) as http,
        ):
            yield http

    @contextlib.contextmanager
    def armed_api(self, failpoints: str) -> Iterator[httpx.Client]:
        """Run an api beside the other that is to die, which is made sure of at the end."""
        armed = {"ORCHESTRATOR_FAILPOINTS": failpoints, "PORT": str(self._armed_port)}
        settings = self.settings | armed
        api = ServiceProcess("api", settings, self.folder / "api.log")
        api.start()
        assert api._process is not None
        try:
            with httpx.Client(base_url=api.url, timeout=120.0) as http:
                yield http
            _expect_killed(api._process)
        finally:
            api.kill()

    @contextlib.contextmanager
    def worker(self, overrides: Mapping[str, str] | None = None) -> Iterator[ServiceProcess]:
        """Run a worker until the end of the context."""
        settings = self.settings | dict(overrides or {})
        with ServiceProcess("worker", settings, self.folder / "worker.log") as worker:
            yield worker

    def start_armed_worker(self, failpoints: str) -> GuardedProcess:
        """Start a worker that need not live until it is ready."""
        settings = self.settings | {"ORCHESTRATOR_FAILPOINTS": failpoints}
        process = GuardedProcess.start(
            [sys.executable, *COMMANDS["worker"]],
            log=self.folder / "worker.log",
            environment=clean_environment(settings),
        )
        self._armed.append(process)
        return process

    def let_a_worker_die(self, failpoints: str) -> None:
        """Run a worker until it has come by its place."""
        _expect_killed(self.start_armed_worker(failpoints))

    def let_a_worker_die_if_it_comes_by(self, failpoints: str) -> bool:
        """Run a worker until it has, or until nothing is left to be done; returns whether it did.

        How often a real one comes by a place depends on what else it does meanwhile.
        """
        process = self.start_armed_worker(failpoints)
        wait_until(lambda: not process.alive or self._agrees(), _DEATH_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _expect_killed(process, _LATER_SECONDS)
            return True
        process.kill()
        return False

    # ---- what it holds ---------------------------------------------------------------------

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.settings["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(sql.encode()).fetchall()

    def told(self, stream: str) -> list[str]:
        """The types of a stream's events, in their order, without what they are of."""
        rows = self.rows(f"SELECT type FROM events WHERE stream = '{stream}' ORDER BY sequence")
        return [str(row["type"]).partition(".")[2] for row in rows]

    def status(self, container_id: int) -> str:
        (row,) = self.rows(f"SELECT status FROM containers WHERE id = {container_id}")
        return str(row["status"])

    def snapshot(self) -> Snapshot:
        """Return what is on the engine of ours."""
        containers = {seen.name: seen for seen in self._engine.list_ours()}
        listed = self.docker(
            "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", *self._ours()
        )
        tags = dict(line.split(" ") for line in listed.splitlines() if "<none>" not in line)
        return Snapshot(self._engine.engine_id(), containers, tags)

    def wait_until_settled(self, seconds: float = SETTLED_SECONDS) -> None:
        wait_until(lambda: not list(unsettled(self)), seconds)

    def wait_until_agreed(self, seconds: float = SETTLED_SECONDS) -> None:
        """Wait for what the engine alone knows of, too."""
        wait_until(self._agrees, seconds)

    def expect_agreement(self) -> None:
        found = differences(self, self.snapshot())
        assert not found, found

    def uploaded(self, http: httpx.Client, context: bytes) -> int:
        """Upload a context under a hostname of its own."""
        answer = self.post_image(http, context)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def post_image(self, http: httpx.Client, context: bytes) -> httpx.Response:
        form = {
            "name": "hello",
            "app_hostname": f"h-{uuid4().hex[:12]}.example",
            "max_instances": "10",
            "memory_limit": "64m",
            "cpu_limit": "0.25",
        }
        return http.post("/api/images", data=form, files={"file": ("c.tar.gz", context)})

    def wait_until_built(self, image_id: int) -> None:
        sql = f"SELECT FROM images WHERE id = {image_id} AND status <> 'building'"
        wait_until(lambda: bool(self.rows(sql)), _BUILD_SECONDS)

    # ---- detail ----------------------------------------------------------------------------

    def _agrees(self) -> bool:
        return not list(unsettled(self)) and not differences(self, self.snapshot())

    def _ours(self) -> Sequence[str]:
        label = f"label=orchestrator.installation_id={self.settings['INSTALLATION_ID']}"
        return ("--filter", label)

    def docker(self, *arguments: str) -> str:
        """Ask the engine itself."""
        command = ["docker", "--host", self.settings["DOCKER_HOST"], *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _remove_everything(self) -> None:
        """A test that failed midway must not leave anything on a shared engine."""
        if containers := self.docker("ps", "--all", "--quiet", *self._ours()).split():
            self.docker("rm", "--force", *containers)
        if images := set(self.docker("images", "--quiet", "--no-trunc", *self._ours()).split()):
            self.docker("image", "rm", "--force", *sorted(images))


def _expect_killed(process: GuardedProcess, seconds: float = _DEATH_SECONDS) -> None:
    code = process._child.wait(seconds)
    process.kill()
    assert code == -signal.SIGKILL, f"it ended with {code}"
