"""Two apis, two workers and two relays in containers, over the suite's servers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Self
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from entrypoints.dev.lifecycle_consumer import LifecycleConsumer
from entrypoints.dev.ports import free_ports
from tests.images.image_container import ImageContainer, running
from tests.images.tls_engine import TlsEngine

VOLUME_FOLDER = "/var/lib/orchestrator/build-contexts"
CERTIFICATES_FOLDER = "/certs/client"
SECRET = "the gateway's secret"
_PATIENCE_SECONDS = 120.0
_PORTS = {"api": "PORT", "worker": "WORKER_PORT", "relay": "RELAY_PORT"}


def service_settings(
    database_url: str, bootstrap_servers: str, engine: TlsEngine
) -> dict[str, str]:
    """What all of them are told; each reads what concerns it, as in compose.yaml."""
    unique = uuid4().hex[:8]
    return {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "KAFKA_CREATE_TOPICS": "true",
        "KAFKA_TOPIC": f"container-lifecycle-{unique}",
        "KAFKA_IMAGE_TOPIC": f"image-lifecycle-{unique}",
        "AUTH_MODE": "gateway",
        "GATEWAY_SECRET": SECRET,
        "DOCKER_HOST": engine.tls_host,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": CERTIFICATES_FOLDER,
        "HOST_PORT_RANGE": "20000-20099",
        "STOP_GRACE_SECONDS": "3",
    }


class ServiceInContainers:
    """A context manager: migrates, starts two of each, waits until all are healthy, removes them.

    Attributes:
        containers: by name: `api-1`, `api-2`, `worker-1` and so on.
        http: a client of the first api, that the gateway has authenticated.
    """

    def __init__(
        self,
        host: str,
        images: Mapping[str, str],
        engine: TlsEngine,
        database_url: str,
        bootstrap_servers: str,
        volume: str,
        say: Callable[[str], None],
    ) -> None:
        self._host, self._images, self._say = host, images, say
        self._engine = engine
        self.settings = service_settings(database_url, bootstrap_servers, engine)
        self._mounts = (
            f"{volume}:{VOLUME_FOLDER}",
            f"{engine.certificates}:{CERTIFICATES_FOLDER}:ro",
        )
        self.containers: dict[str, ImageContainer] = {}
        self.http = httpx.Client()
        self._parts = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as parts:
            self._migrate()
            ports = iter(free_ports(6))
            api_ports = []
            for kind in ("worker", "relay", "api"):
                for number in (1, 2):
                    port = next(ports)
                    if kind == "api":
                        api_ports.append(port)
                    container = self._container(kind, {_PORTS[kind]: str(port)})
                    parts.callback(container.remove)
                    container.start()
                    self.containers[f"{kind}-{number}"] = container
            self.wait_until_healthy()
            headers = {"X-User-Id": "ada", "X-Gateway-Secret": SECRET}
            self.http = parts.enter_context(
                httpx.Client(
                    base_url=f"http://127.0.0.1:{api_ports[0]}", headers=headers, timeout=120.0
                )
            )
            self.urls = [f"http://127.0.0.1:{port}" for port in api_ports]
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def wait_until_healthy(self) -> None:
        for container in self.containers.values():
            container.wait_until_healthy()
        self._say("all of them are healthy: " + ", ".join(self.containers))

    def restart(self, *names: str) -> None:
        """Kill these, and start them again."""
        for name in names:
            self.containers[name].kill()
        for name in names:
            self.containers[name].start()

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Read the database."""
        with psycopg.connect(self.settings["DATABASE_URL"], row_factory=dict_row) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def wait_for(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a query as soon as it has any."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with psycopg.connect(self.settings["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("LISTEN orchestrator_outcome")
            connection.execute("LISTEN orchestrator_work")
            while time.monotonic() < deadline:
                if rows := self.rows(sql, *parameters):
                    return rows
                list(connection.notifies(timeout=1.0, stop_after=1))
        raise AssertionError(f"no rows after {_PATIENCE_SECONDS:.0f} s: {sql} {parameters}")

    def upload(self, context: bytes, **fields: str) -> int:
        """Upload a context; returns the id of its image, which is being built."""
        form = {"name": "Hello", "app_hostname": f"h-{uuid4().hex[:8]}.example"} | fields
        answer = self.http.post("/api/images", data=form, files={"file": ("c.tar.gz", context)})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def events(self, count: int) -> dict[int, list[dict[str, Any]]]:
        """Return what a new consumer sees of each container, once it saw `count` events."""
        with LifecycleConsumer(
            self.settings["KAFKA_BOOTSTRAP_SERVERS"], self.settings["KAFKA_TOPIC"]
        ) as consumer:
            consumer.read_until(count, 60.0)
            return consumer.by_container()

    def audit(self) -> str:
        """Hold everything against each other, by a worker's own command; fails at a difference."""
        command = ("python", "-m", "entrypoints.worker", "audit")
        return self.containers["worker-1"].run(*command, "--settle", "60")

    def _container(self, kind: str, own: Mapping[str, str]) -> ImageContainer:
        mounts = () if kind == "relay" else self._mounts
        settings = self.settings | dict(own)
        return ImageContainer(self._host, self._images[kind], settings, mounts=mounts)

    def _migrate(self) -> None:
        migrations = ImageContainer(
            self._host,
            self._images["api"],
            {"DATABASE_URL": self.settings["DATABASE_URL"]},
            command=("python", "-m", "migrations"),
            service="migrate",
        )
        with running(migrations, healthy=False):
            code, output = migrations.wait_for_end(), migrations.output
        assert code == 0, output
        self._say(f"migrated: {len(output.splitlines())} files")
