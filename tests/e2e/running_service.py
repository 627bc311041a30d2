"""A running service, and what a test needs to look behind it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from entrypoints.dev.lifecycle_consumer import LifecycleConsumer
from entrypoints.dev.ports import free_ports
from entrypoints.dev.service_processes import ServiceProcess

BUILD_SECONDS = 240


@dataclass(frozen=True, slots=True)
class RunningService:
    """Api, worker and relay, each with its health port."""

    api: ServiceProcess
    worker: ServiceProcess
    relay: ServiceProcess
    settings: Mapping[str, str]
    http: httpx.Client

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Read the database."""
        with psycopg.connect(self.settings["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def docker(self, *arguments: str) -> str:
        """Ask the engine itself."""
        command = ["docker", "--host", self.settings["DOCKER_HOST"], *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def containers_in_docker(self, image_id: int) -> list[str]:
        """Return the Docker ids of an image's containers, in whatever state."""
        installation = self.settings["INSTALLATION_ID"]
        return self.docker(
            "ps", "--all", "--quiet", "--no-trunc",
            "--filter", f"label=orchestrator.installation_id={installation}",
            "--filter", f"label=orchestrator.image_id={image_id}",
        ).split()  # fmt: skip

    def tags_in_docker(self, image_id: int) -> list[str]:
        """Return an image's tags; others on the same engine may have images of the same name."""
        installation = self.settings["INSTALLATION_ID"]
        return self.docker(
            "images", f"nvidia-app-u1-i{image_id}", "--format", "{{.Repository}}:{{.Tag}}",
            "--filter", f"label=orchestrator.installation_id={installation}",
        ).split()  # fmt: skip

    def consumer(self) -> LifecycleConsumer:
        """Return an independent consumer of this service's container topic."""
        return LifecycleConsumer(
            self.settings["KAFKA_BOOTSTRAP_SERVERS"], self.settings["KAFKA_TOPIC"]
        )

    def told(self, container_id: int, count: int) -> list[dict[str, Any]]:
        """Return a container's events as a new consumer sees them, once it saw `count`."""
        with self.consumer() as consumer:
            for total in range(1, 10_000):
                seen = consumer.by_container().get(container_id, [])
                if len(seen) >= count:
                    return seen
                before = len(consumer.events)
                assert len(consumer.read_until(max(total, before + 1), 20.0)) > before, seen
        raise AssertionError("the topic is longer than any test's")

    def post_image(self, context: bytes, **fields: str) -> httpx.Response:
        """Upload a context under a hostname of its own."""
        form = {"name": "hello", "app_hostname": f"h-{uuid4().hex[:12]}.example"} | fields
        return self.http.post("/api/images", data=form, files={"file": ("c.tar.gz", context)})

    def upload(self, context: bytes, **fields: str) -> int:
        """Upload a context and wait until its image is ready; returns the image's id."""
        answer = self.post_image(context, **fields)
        assert answer.status_code == 201, answer.text
        image_id = int(answer.json()["id"])
        image = self.wait_for_build(image_id)
        assert image["status"] == "ready", image
        return image_id

    def wait_for_build(self, image_id: int) -> dict[str, Any]:
        """Return the image once its build has ended, however that was."""
        with psycopg.connect(self.settings["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("LISTEN orchestrator_outcome")
            for _ in range(BUILD_SECONDS):
                image: dict[str, Any] = self.http.get(f"/api/images/{image_id}").json()
                if image["status"] != "building":
                    return image
                list(connection.notifies(timeout=1.0, stop_after=1))
        raise AssertionError(f"still building after {BUILD_SECONDS} s: {image['build_logs']}")

    def wait_for(self, sql: str, *parameters: object, seconds: int = 60) -> list[dict[str, Any]]:
        """Return the rows of a query as soon as it has any."""
        with psycopg.connect(self.settings["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("LISTEN orchestrator_outcome")
            connection.execute("LISTEN orchestrator_work")
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if rows := self.rows(sql, *parameters):
                    return rows
                # Others may be told of so often that their number says nothing of the time.
                list(connection.notifies(timeout=1.0, stop_after=1))
        raise AssertionError(f"no rows after {seconds} s: {sql} {parameters}")


@contextlib.contextmanager
def running_service(
    folder: Path,
    database_url: str,
    bootstrap_servers: str,
    docker_host: str,
    overrides: Mapping[str, str] | None = None,
) -> Iterator[RunningService]:
    """Start a service over servers that run already, and end it."""
    unique = uuid4().hex[:8]
    ports = [str(port) for port in free_ports(3)]
    settings = {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "KAFKA_CREATE_TOPICS": "true",
        "KAFKA_TOPIC": f"container-lifecycle-{unique}",
        "KAFKA_IMAGE_TOPIC": f"image-lifecycle-{unique}",
        "DOCKER_HOST": docker_host,
        "INSTALLATION_ID": f"e2e-{unique}",
        "BUILD_CONTEXT_BASE_DIR": str(folder / "build-contexts"),
        "AUTH_MODE": "none",
        "DEV_USER_ID": "1",
        "PORT": ports[0],
        "WORKER_PORT": ports[1],
        "RELAY_PORT": ports[2],
        "STARTUP_TIMEOUT_SECONDS": "20",
        "STOP_GRACE_SECONDS": "3",
    } | dict(overrides or {})
    # The api has neither a client nor an address of the engine: it drives no Docker.
    api_settings = settings | {"DOCKER_HOST": "unix:///nonexistent", "PATH": "/nonexistent"}
    with contextlib.ExitStack() as parts:
        worker, relay, api = (
            parts.enter_context(ServiceProcess(name, own, folder / f"{name}.log"))
            for name, own in (("worker", settings), ("relay", settings), ("api", api_settings))
        )
        http = parts.enter_context(httpx.Client(base_url=api.url, timeout=120.0))
        parts.callback(_remove_containers, settings)
        yield RunningService(api, worker, relay, settings, http)


def _remove_containers(settings: Mapping[str, str]) -> None:
    """A test that failed midway must not leave containers on a shared engine."""
    docker = ["docker", "--host", settings["DOCKER_HOST"]]
    label = f"label=orchestrator.installation_id={settings['INSTALLATION_ID']}"
    listed = subprocess.run(
        [*docker, "ps", "--all", "--quiet", "--filter", label],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    if ids := listed.stdout.split():
        subprocess.run([*docker, "rm", "--force", *ids], check=True, capture_output=True)
