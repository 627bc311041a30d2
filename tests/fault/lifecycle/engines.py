"""The engine under the service: a real one of its own, or the fake of the contract suite.

Either can be killed and comes back with what was on it, and somebody can reach behind the service's
back.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from adapters.docker.container_engine import DockerContainerEngine
from application.ports import ContainerEngine
from domain.observation import Observation
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.service_processes import COMMANDS
from tests.contracts.fake_docker import FakeDocker, Snapshot
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.lifecycle import fake_worker
from tests.fault.lifecycle.apps import SIGNALS
from tests.fault.service.remote_docker import DockerServer

_KILLED_CODE = 137


class EngineUnderTest(ABC):
    """What a machine does to an engine, as far as one installation is concerned.

    Attributes:
        settings: of the workers that drive it.
        worker: the arguments of Python that start one, and its commands.
        alive: whether it answers.
    """

    settings: Mapping[str, str]
    worker: Sequence[str]
    alive = True

    @abstractmethod
    def kill(self) -> None:
        """End the engine by SIGKILL."""

    @abstractmethod
    def start(self) -> None:
        """Start it again; what ran on it has ended. Idempotent."""

    @abstractmethod
    def end_app(self, name: str, code: int) -> bool:
        """Let a container's app end by itself; returns whether it ran."""

    @abstractmethod
    def kill_container(self, name: str) -> bool:
        """As `docker kill`; returns whether it ran."""

    @abstractmethod
    def stop_container(self, name: str) -> bool:
        """As `docker stop`; returns whether it was there."""

    @abstractmethod
    def remove_container(self, name: str) -> bool:
        """As `docker rm --force`; returns whether it was there."""

    @abstractmethod
    def port(self) -> ContainerEngine:
        """The engine as a worker sees it."""

    def snapshot(self) -> Snapshot:
        """Return what is on the engine of the installation."""
        port = self.port()
        containers = {seen.name: seen for seen in port.list_ours()}
        tags = {tag: each.docker_image_id for each in port.list_images() for tag in each.tags}
        return Snapshot(port.engine_id(), containers, tags)


class FakeEngine(EngineUnderTest):
    """The fake, in this process; its workers are processes of their own."""

    worker = ("-m", fake_worker.MODULE)

    def __init__(self, server: DockerServer, installation_id: str) -> None:
        server.docker = FakeDocker()
        self._docker = server.docker
        self._port = FakeContainerEngine(self._docker, installation_id)
        self.settings = {fake_worker.ADDRESS: server.address, fake_worker.KEY: server.key}

    def kill(self) -> None:
        self._docker.reachable = self.alive = False

    def start(self) -> None:
        if not self.alive:
            self._docker.reboot()
            self._docker.reachable = self.alive = True

    def end_app(self, name: str, code: int) -> bool:
        return self.alive and self._docker.end_if_running(name, code)

    def kill_container(self, name: str) -> bool:
        return self.alive and self._docker.end_if_running(name, _KILLED_CODE)

    def stop_container(self, name: str) -> bool:
        if (seen := self._found(name)) is not None:
            self._docker.stop(seen.docker_id)
        return seen is not None

    def remove_container(self, name: str) -> bool:
        if (seen := self._found(name)) is not None:
            self._docker.remove(seen.docker_id)
        return seen is not None

    def _found(self, name: str) -> Observation | None:
        return self._docker.find(name) if self.alive else None

    def port(self) -> ContainerEngine:
        return self._port


class RealEngine(EngineUnderTest):
    """A private Docker Engine; what an installation leaves on it is removed at the end."""

    worker = COMMANDS["worker"]

    def __init__(self, engine: Engine, installation_id: str, scratch: Path) -> None:
        self._engine = engine
        self._port = DockerContainerEngine(
            docker_host=engine.host, installation_id=installation_id, scratch=scratch
        )
        self._label = f"label=orchestrator.installation_id={installation_id}"
        self.settings = {"DOCKER_HOST": engine.host}

    def kill(self) -> None:
        self._engine.kill()
        self.alive = False

    def start(self) -> None:
        if not self.alive:
            self._engine.start()
            self.alive = True

    def end_app(self, name: str, code: int) -> bool:
        return self._did("kill", "--signal", SIGNALS[code], name)

    def kill_container(self, name: str) -> bool:
        return self._did("kill", name)

    def stop_container(self, name: str) -> bool:
        return self._did("stop", "--time", "1", name)

    def remove_container(self, name: str) -> bool:
        return self._did("rm", "--force", name)

    def port(self) -> ContainerEngine:
        return self._port

    def remove_everything(self) -> None:
        self.start()
        for listed, removed in (("ps --all", "rm"), ("images --no-trunc", "image rm")):
            found = self._docker(*listed.split(), "--quiet", "--filter", self._label).stdout
            if ids := sorted(set(found.split())):
                self._docker(*removed.split(), "--force", *ids)

    def _did(self, *arguments: str) -> bool:
        return self.alive and self._docker(*arguments).returncode == 0

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "--host", self._engine.host, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def real_engine(engine: Engine, installation_id: str, folder: Path) -> Iterator[RealEngine]:
    """Yield a private engine as one installation has it."""
    real = RealEngine(engine, installation_id, folder / "scratch")
    try:
        yield real
    finally:
        real.remove_everything()
