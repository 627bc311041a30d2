"""An installation's processes, each of which can be killed: api, workers, PostgreSQL, engine."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from entrypoints.dev.ports import free_ports
from entrypoints.dev.postgres import Postgres
from entrypoints.dev.service_processes import ServiceProcess, clean_environment
from migrations.runner import migrate
from tests.contracts.subjects import wait_until
from tests.fault.lifecycle.engines import EngineUnderTest
from tests.fault.lifecycle.kills import Victim

# A crash may cost no commit that was answered, as on a server that is set up as PostgreSQL is.
_KEEP_WHAT_IS_COMMITTED = "ALTER DATABASE {} SET synchronous_commit = on"

# What is written by whoever works or asks: it grows with each step.
_PROGRESS = """
SELECT (SELECT coalesce(sum(generation + lease_epoch + sequence), 0) + count(*) FROM containers)
     + (SELECT coalesce(sum(lease_epoch + sequence), 0) + count(*) FROM images)
     + (SELECT coalesce(sum(lease_epoch + attempt), 0) + count(*) FROM builds) AS steps
"""
_IN_HAND = """
SELECT EXISTS (SELECT FROM containers WHERE lease_until > now())
    OR EXISTS (SELECT FROM images WHERE lease_until > now())
    OR EXISTS (SELECT FROM builds WHERE lease_until > now()) AS any
"""
_SESSIONS_OF_THE_API = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'orchestrator-api'
"""


class Processes:
    """Runs them, lets them die, and brings them back. A context manager.

    Args:
        folder: a new one, for the volume and the logs.
        engine: what the workers drive.
        ports: HOST_PORT_RANGE.

    Attributes:
        database_ended_at: when PostgreSQL was away last, by the monotonic clock.
    """

    def __init__(
        self,
        folder: Path,
        postgres: Postgres,
        engine: EngineUnderTest,
        installation_id: str,
        ports: str,
    ) -> None:
        self.engine = engine
        self.volume = folder / "volume"
        self.database_ended_at = -1e9
        self._postgres = postgres
        self._folder = folder
        self._database = f"lifecycle_{uuid.uuid4().hex[:12]}"
        self._worker_ports = free_ports(3)
        self.settings = {
            "DATABASE_URL": self._new_database(),
            "INSTALLATION_ID": installation_id,
            "BUILD_CONTEXT_BASE_DIR": str(self.volume),
            "AUTH_MODE": "none",
            # Tags bear user and image: another installation of the same user would share them.
            "DEV_USER_ID": installation_id,
            "PORT": str(self._worker_ports.pop()),
            "HOST_PORT_RANGE": ports,
            "STOP_GRACE_SECONDS": "2",
            "STARTUP_TIMEOUT_SECONDS": "20",
            "RECONCILE_INTERVAL_SECONDS": "1",
            "STRANGER_GRACE_SECONDS": "3",
            "RESTART_BACKOFF_SECONDS": "0.5",
            "RESTART_BACKOFF_MAX_SECONDS": "2",
        }
        # The api has neither a client nor an address of the engine.
        unreachable = {"DOCKER_HOST": "unix:///nonexistent", "PATH": "/nonexistent"}
        self.api = ServiceProcess("api", self.settings | unreachable, folder / "api.log")
        self._workers = [self._worker(port) for port in self._worker_ports]
        self._running: list[ServiceProcess] = []

    def __enter__(self) -> Self:
        try:
            self.api.start()
            self.start_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._running:
            worker.kill()
        self.api.kill()
        self._postgres.drop_database(self._database)

    # ---- life and death --------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """How many run."""
        return len(self._running)

    def start_worker(self) -> None:
        """Let another worker join."""
        worker = next(each for each in self._workers if each not in self._running)
        # Without its engine it would not be ready.
        worker.start(ready=self.engine.alive)
        self._running.append(worker)

    def end_worker(self) -> None:
        """Let the worker that has run longest leave in order."""
        self._running.pop(0).stop()

    def kill(self, victim: Victim) -> None:
        """Kill it; PostgreSQL is back when this returns, and nothing else is."""
        if victim is Victim.API:
            self.api.kill()
            # What it sent last may be committed after its death: nobody looks before that.
            wait_until(lambda: not self.rows(_SESSIONS_OF_THE_API))
        elif victim is Victim.WORKER and self._running:
            self._running.pop(0).kill()
        elif victim is Victim.ENGINE:
            self.engine.kill()
        elif victim in {Victim.POSTGRES, Victim.POSTGRES_CRASH}:
            self.database_ended_at = time.monotonic()
            self._postgres.restart(crash=victim is Victim.POSTGRES_CRASH)
            self.database_ended_at = time.monotonic()

    def start_api(self) -> None:
        """Start the api unless it runs."""
        if self.api.process is None:
            self.api.start()

    def bring_back(self) -> bool:
        """Start whatever was killed, one worker at least; returns whether anything was away."""
        away = not self.engine.alive or not self._running
        self.start_api()
        self.engine.start()
        if not self._running:
            self.start_worker()
        return away

    def expect_alive(self) -> None:
        """Nothing may have ended that nobody killed."""
        for each in (self.api, *self._running):
            process = each.process
            assert process is None or process.alive, (
                f"{each.name} ended by itself, code {process.exit_code}:\n{_tail(each.log)}"
            )

    # ---- moments ---------------------------------------------------------------------------

    def until_next_step(self) -> Callable[[], bool]:
        """Return what tells whether anything was recorded since now."""
        before = self._steps()
        return lambda: self._steps() != before

    def holds_anything(self) -> bool:
        """Whether a worker is at anything."""
        return bool(self.rows(_IN_HAND)[0]["any"])

    # ---- what it holds ---------------------------------------------------------------------

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Read the database."""
        with psycopg.connect(self.settings["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Run the operator's command."""
        return subprocess.run(
            [sys.executable, *self.engine.worker, "audit", "--settle", "10"],
            env=clean_environment(self.settings | dict(self.engine.settings)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def tell(self, line: str) -> None:
        """Keep a line beside the processes' logs."""
        with (self._folder / "journal.log").open("a") as journal:
            journal.write(f"{datetime.now(UTC):%H:%M:%S.%f} {line}\n")

    def last_words(self) -> str:
        """The end of each log, for whoever reads of a failure."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{_tail(log)}" for log in logs)

    # ---- detail ----------------------------------------------------------------------------

    def _worker(self, port: int) -> ServiceProcess:
        settings = self.settings | dict(self.engine.settings) | {"WORKER_PORT": str(port)}
        log = self._folder / f"worker-{port}.log"
        return ServiceProcess("worker", settings, log, self.engine.worker)

    def _new_database(self) -> str:
        url = self._postgres.create_database(self._database)
        migrate(url)
        with psycopg.connect(url) as owner:
            owner.execute(sql.SQL(_KEEP_WHAT_IS_COMMITTED).format(sql.Identifier(self._database)))
        return url

    def _steps(self) -> int:
        return int(self.rows(_PROGRESS)[0]["steps"])


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-6000:]
