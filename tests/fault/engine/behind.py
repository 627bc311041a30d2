"""What a test does to containers and engine behind the service's back, and what it waits for."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from entrypoints.dev.private_engine import Engine
from tests.contracts.subjects import wait_until
from tests.e2e.running_service import RunningService

Event = dict[str, Any]

# As long as anything else is waited for here.
_RUNS_SECONDS = 60.0


def moment(text: str) -> datetime:
    """Read Docker's time as it is told: cut to microseconds."""
    return datetime.fromisoformat(text)


class Behind:
    """One image's containers, on an engine that may be ended."""

    def __init__(self, service: RunningService, engine: Engine, image_id: int) -> None:
        self.service = service
        self.engine = engine
        self.image_id = image_id

    def create(self, count: int = 1, mode: str = "serves", *, wait: float = 60) -> list[Event]:
        """Create containers through the api; returns their representations."""
        body = {"count": count, "env": {"MODE": mode}}
        answer = self.service.http.post(f"/api/containers/{self.image_id}?wait={wait}", json=body)
        assert answer.status_code in {201, 202}, answer.text
        found: list[Event] = answer.json()
        return found

    def running(self) -> Event:
        """Create one container that runs."""
        (container,) = self.create()
        assert container["status"] == "running", container
        return container

    def docker(self, *arguments: str) -> str:
        return self.service.docker(*arguments)

    def state(self, container: Event) -> dict[str, Any]:
        """Return the container's row."""
        (row,) = self.service.rows("SELECT * FROM containers WHERE id = %s", container["id"])
        return row

    def wait_for_status(self, container: Event, status: str, runs: int = 0) -> dict[str, Any]:
        """Return the row once the container is so, after at least `runs` further starts."""
        (row,) = self.service.wait_for(
            "SELECT * FROM containers WHERE id = %s AND status = %s AND restart_count >= %s",
            container["id"],
            status,
            runs,
        )
        return row

    def wait_until_it_runs(self, container: Event) -> None:
        """Return once the run that is recorded is the one that Docker has.

        A record alone may be of a run that ended with the engine, which nobody has noticed yet.
        """
        wait_until(lambda: self._runs_as_recorded(container), _RUNS_SECONDS)

    def _runs_as_recorded(self, container: Event) -> bool:
        row = self.state(container)
        if row["status"] != "running":
            return False
        template = "{{.State.Running}} {{.State.StartedAt}}"
        answer = self.docker("inspect", "--format", template, row["docker_id"])
        running, started = answer.split()
        return running == "true" and moment(started) == row["started_at"]

    def told(self, container: Event, count: int) -> list[Event]:
        """Return the container's events as Kafka has them, once there are so many."""
        return self.service.told(container["id"], count)

    def recorded(self, container: Event) -> list[str]:
        """Return the types of the container's events in the ledger."""
        rows = self.service.rows(
            "SELECT type FROM events WHERE container_id = %s ORDER BY sequence", container["id"]
        )
        return [row["type"].removeprefix("container.") for row in rows]

    def wait_for_told(self, container: Event, type_: str, since: int = 0) -> dict[str, Any]:
        """Return the ledger row of the first event of a type beyond a sequence."""
        rows = self.service.wait_for(
            "SELECT *, convert_from(payload, 'UTF8')::jsonb AS body FROM events"
            " WHERE container_id = %s AND type = %s AND sequence > %s ORDER BY sequence",
            container["id"],
            f"container.{type_}",
            since,
        )
        return rows[0]

    def event_readers(self) -> list[int]:
        """Return the pids of the worker's `docker events`."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_bytes().split(b"\0")
            except OSError:
                continue
            is_reader = arguments[0].endswith(b"docker") and b"events" in arguments
            if is_reader and self.engine.host.encode() in arguments:
                found.append(int(path.parent.name))
        return found

    @contextmanager
    def frozen_event_readers(self) -> Iterator[None]:
        """Stop them meanwhile, as a machine that swaps would; afterwards they read on."""
        readers = self.event_readers()
        assert readers
        try:
            for pid in readers:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in readers:
                os.kill(pid, signal.SIGCONT)

    def clear(self) -> None:
        """Delete the image's containers."""
        for container in self.service.http.get(f"/api/images/{self.image_id}/containers").json():
            self.service.http.delete(f"/api/containers/{container['id']}?wait=60")

    def look(self, container: Event) -> tuple[str, str, str]:
        """Return Docker's own StartedAt, FinishedAt and exit code."""
        answer = self.docker(
            "inspect",
            "--format",
            "{{.State.StartedAt}} {{.State.FinishedAt}} {{.State.ExitCode}}",
            container["container_id"],
        )
        started, finished, code = answer.split()
        return started, finished, code

    def in_docker(self, container: Event) -> bool:
        """Whether anything of the container is there."""
        found = subprocess.run(
            ["docker", "--host", self.engine.host, "inspect", container["container_id"]],
            capture_output=True,
            check=False,
        )
        return found.returncode == 0
