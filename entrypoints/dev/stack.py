"""The whole service on one machine: PostgreSQL, Kafka, Docker, migrations, api, worker, relay."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from entrypoints.dev.engine import chosen_engine
from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.home_folder import HomeFolder
from entrypoints.dev.kafka import KafkaServer, start_broker
from entrypoints.dev.ports import free_ports
from entrypoints.dev.postgres import Postgres, database_server
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.service_processes import ServiceProcess, migrate

DEFAULT_PORTS = (3003, 3004, 3005)


class Part(Protocol):
    """Anything that may run a process of ours."""

    @property
    def process(self) -> GuardedProcess | None: ...


@dataclass(frozen=True, slots=True)
class Stack:
    """A running service.

    Attributes:
        folder: its build contexts and the logs of its processes.
        parts: what it is made of, by name, but for servers that somebody else runs.
    """

    api: ServiceProcess
    worker: ServiceProcess
    relay: ServiceProcess
    settings: Mapping[str, str]
    folder: Path
    parts: Mapping[str, Part]

    def ended(self) -> dict[str, GuardedProcess]:
        """Return the parts that ended by themselves, by name."""
        processes = {name: part.process for name, part in self.parts.items()}
        return {
            name: process
            for name, process in processes.items()
            if process is not None and not process.alive
        }

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
        FolderInUseError: everything of that name runs already.
    """
    with contextlib.ExitStack() as parts:
        folder = parts.enter_context(_folder(name))
        say("PostgreSQL: starting")
        database = parts.enter_context(database_server(name))
        broker = start_broker(name, say=say)
        parts.callback(broker.stop)
        engine = parts.enter_context(chosen_engine(name, say=say))
        defaults = _settings(name, database.url, broker, engine.host, folder)
        settings = defaults | dict(overrides or {})
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
        watched: dict[str, Part] = {process.name: process for process in processes}
        watched["Kafka"] = broker
        if isinstance(database, Postgres):
            watched["PostgreSQL"] = database
        if isinstance(engine, Engine):
            watched["Docker Engine"] = engine
        yield Stack(api, worker, relay, settings, folder, watched)


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
    home = HomeFolder("service", name)
    try:
        home.take()
        yield home.path
    finally:
        home.release()
