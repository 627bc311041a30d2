"""Api and worker as processes of their own, on a real engine; each can be armed, and die."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.ports import free_ports
from entrypoints.dev.service_processes import COMMANDS, ServiceProcess, clean_environment
from tests.contracts.subjects import wait_until
from tests.fault.service.agreement import Agreement
from tests.fault.service.real_audit import RealAudit
from tests.fault.service.real_engine import RealEngine

_BUILD_SECONDS = 240.0
# A worker has to start, to find its engine, and to come by its place.
_DEATH_SECONDS = 90.0
# A place after the outcome is passed a moment after it.
_LATER_SECONDS = 3.0
SETTLED_SECONDS = 90.0

_COMMANDS = {**COMMANDS, "audit": (*COMMANDS["worker"], "audit")}


class RealService:
    """An installation without a relay: its outbox keeps everything that is told.

    Args:
        folder: for the volume and the logs.
        ports: HOST_PORT_RANGE, nobody else's.

    Attributes:
        engine: as the test sees it.
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
            "STRANGER_GRACE_SECONDS": "2",
            "SWEEP_INTERVAL_SECONDS": "3",
            "SWEEP_GRACE_SECONDS": "60",
        }
        self.engine = RealEngine(docker_host, name, folder / "scratch")
        self._audit = RealAudit(self.settings, self, self.engine.port)
        self._armed: list[GuardedProcess] = []

    def __enter__(self) -> Self:
        self._audit.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._armed:
            process.kill()
        self._audit.__exit__(None, None, None)
        self.engine.remove_everything()

    # ---- processes -------------------------------------------------------------------------

    @contextlib.contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """Run an api that nobody arms."""
        # It has neither a client nor an address of the engine.
        settings = self.settings | {"DOCKER_HOST": "unix:///nonexistent"}
        with (
            ServiceProcess("api", settings, self.folder / "api.log") as api,
            httpx.Client(base_url=api.url, timeout=150.0) as http,
        ):
            yield http

    @contextlib.contextmanager
    def armed_api(self, failpoints: str) -> Iterator[httpx.Client]:
        """Run an api beside the other that is to die, which is made sure of at the end."""
        armed = {"ORCHESTRATOR_FAILPOINTS": failpoints, "PORT": str(self._armed_port)}
        settings = self.settings | armed
        api = ServiceProcess("api", settings, self.folder / "api.log")
        api.start()
        assert api.process is not None
        try:
            with httpx.Client(base_url=api.url, timeout=150.0) as http:
                yield http
            _expect_killed(api.process)
        finally:
            api.kill()

    @contextlib.contextmanager
    def worker(self, overrides: Mapping[str, str] | None = None) -> Iterator[ServiceProcess]:
        """Run a worker until the end of the context."""
        settings = self.settings | dict(overrides or {})
        with ServiceProcess("worker", settings, self.folder / "worker.log") as worker:
            yield worker

    def start_armed(self, failpoints: str, command: str = "worker") -> GuardedProcess:
        """Start a worker, or its command, that need not live until it is ready."""
        settings = self.settings | {"ORCHESTRATOR_FAILPOINTS": failpoints}
        process = GuardedProcess.start(
            [sys.executable, *_COMMANDS[command]],
            log=self.folder / f"{command}.log",
            environment=clean_environment(settings),
        )
        self._armed.append(process)
        return process

    def dies(self, process: GuardedProcess, is_over: Callable[[], bool]) -> bool:
        """Wait until an armed process has died, or has nothing left to do; whether it has died.

        How often a real one comes by a place depends on what else it does meanwhile.
        """
        wait_until(
            lambda: not process.alive or (self.worker_is_ready() and is_over()), _DEATH_SECONDS
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            return _ended(process, _LATER_SECONDS) == -signal.SIGKILL
        process.kill()
        return False

    def worker_is_ready(self) -> bool:
        """Whether a worker runs, and can do its work."""
        try:
            url = f"http://127.0.0.1:{self.settings['WORKER_PORT']}/readyz"
            return httpx.get(url, timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    # ---- what it holds ---------------------------------------------------------------------

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.settings["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(sql.encode()).fetchall()

    def told(self, stream: str) -> list[str]:
        """The types of a stream's events, in their order, without what they are of."""
        rows = self.rows(f"SELECT type FROM events WHERE stream = '{stream}' ORDER BY sequence")
        return [str(row["type"]).partition(".")[2] for row in rows]

    def look(self) -> Agreement:
        """Return what is not at rest, or else what an audit finds.

        It holds for the moment of the look alone: an event that comes late, or a pass, may have
        something looked at again right afterwards.
        """
        if not self._audit.is_at_rest():
            return Agreement(["it is not at rest"], [])
        return self._audit.agreement()

    def wait_until_agreed(self, seconds: float = SETTLED_SECONDS) -> None:
        """Wait for what the engine alone knows of, too."""
        found = ["nobody has looked"]

        def differs() -> bool:
            found[:] = self.look().differences
            return bool(found)

        with contextlib.suppress(AssertionError):
            wait_until(lambda: not differs(), seconds)
        assert not found, found

    def uploaded(self, http: httpx.Client, context: bytes, **fields: str) -> int:
        """Upload a context under a hostname of its own."""
        answer = self.post_image(http, context, **fields)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def post_image(self, http: httpx.Client, context: bytes, **fields: str) -> httpx.Response:
        form = {
            "name": "hello",
            "app_hostname": f"h-{uuid4().hex[:12]}.example",
            "max_instances": "10",
            "memory_limit": "64m",
            "cpu_limit": "0.25",
        }
        return http.post("/api/images", data=form | fields, files={"file": ("c.tar.gz", context)})

    def wait_until_ready(self, image_id: int) -> None:
        """Wait until it can have containers."""
        sql = f"SELECT FROM images WHERE id = {image_id} AND status = 'ready'"
        wait_until(lambda: bool(self.rows(sql)), _BUILD_SECONDS)

    def wait_until_built(self, image_id: int) -> None:
        """Wait until its last build has ended, however that was, and its public tag is set."""
        sql = (
            f"SELECT FROM images WHERE id = {image_id} AND status <> 'building' AND NOT EXISTS ("
            "SELECT FROM builds WHERE image_id = images.id AND next_attempt_at IS NOT NULL)"
        )
        wait_until(lambda: bool(self.rows(sql)), _BUILD_SECONDS)


def _ended(process: GuardedProcess, seconds: float) -> int:
    """Return how a process ends, -n by signal n.

    Raises:
        subprocess.TimeoutExpired: it does not.
    """
    code = process._child.wait(seconds)
    process.kill()
    return code


def _expect_killed(process: GuardedProcess) -> None:
    code = _ended(process, _DEATH_SECONDS)
    assert code == -signal.SIGKILL, f"it ended with {code}"
