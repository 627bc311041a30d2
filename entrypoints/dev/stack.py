"""The whole service on one machine: PostgreSQL, Kafka, Docker, migrations, api, worker, relay."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from entrypoints.dev.engine import docker_engine
from entrypoints.dev.folders import state_folder
from entrypoints.dev.kafka import KafkaServer, start_broker
from entrypoints.dev.ports import free_ports
from entrypoints.dev.postgres import database_url
from entrypoints.dev.service_processes import ServiceProcess, migrate

DEFAULT_PORTS = (3003, 3004, 3005)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running service.

    Attributes:
        folder: its build contexts and the logs of its processes.
    """

    api: ServiceProcess
    worker: ServiceProcess
    relay: ServiceProcess
    settings: Mapping[str, str]
    folder: Path

    @property
    def database_url(self) -> str:
        return self.settings["DATABASE_URL"]

    @property
    def bootstrap_servers(self) -> str:
        return self.settings["KAFKA_BOOTSTRAP_SERVERS"]


@contextlib.contextmanager
def running_stack(
    name: str | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Stack]:
    """Start everything in order, yield it, and end everything in reverse.

    Args:
        name: keep data under this name from run to run, on the default ports; without one
            everything is on free ports and is gone afterwards.
        overrides: settings that replace the defaults.
        say: is told each step in one line.

    Raises:
        EngineMissingError, PostgresMissingError, ServerStartError: a part cannot be had.
    """
    with contextlib.ExitStack() as parts:
        say("PostgreSQL: starting")
        database = parts.enter_context(database_url(name=name))
        broker = start_broker(name, say=say)
        parts.callback(broker.stop)
        docker_host = parts.enter_context(docker_engine(name, say=say))
        folder = parts.enter_context(_folder(name))
        settings = _settings(name, database, broker, docker_host, folder) | dict(overrides or {})
        say("migrations: applying")
        migrate(settings)
        processes = [
            ServiceProcess(process, settings, folder / f"{process}.log")
            for process in ("worker", "relay", "api")
        ]
        for process in processes:
            parts.enter_context(process)
            say(f"{process.name}: ready at {process.url}, log in {process.log}")
        worker, relay, api = processes
        yield Stack(api, worker, relay, settings, folder)


def _settings(
    name: str | None, database: str, broker: KafkaServer, docker_host: str, folder: Path
) -> dict[str, str]:
    ports = DEFAULT_PORTS if name else free_ports(3)
    return {
        "DATABASE_URL": database,
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_CREATE_TOPICS": "true",
        "DOCKER_HOST": docker_host,
        "BUILD_CONTEXT_BASE_DIR": str(folder / "build-contexts"),
        "AUTH_MODE": "none",
        "DEV_USER_ID": "1",
        "PORT": str(ports[0]),
        "WORKER_PORT": str(ports[1]),
        "RELAY_PORT": str(ports[2]),
    }


@contextlib.contextmanager
def _folder(name: str | None) -> Iterator[Path]:
    if name is not None:
        folder = state_folder() / f"service-{name}"
        folder.mkdir(exist_ok=True)
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="service-", dir=state_folder()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
