"""What the contract suite of the engine port is held against: the real engine and the fake."""

from __future__ import annotations

import itertools
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path

from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import BuildOrder, ContainerOrder
from application.ports import ContainerEngine
from domain.observation import Observation
from tests.contracts.busybox_contexts import SERVES, make_busybox_context, make_context
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine

WAIT_SECONDS = 20.0
_PAUSE_SECONDS = 0.02

_build_ids = itertools.count(1)
_ports = iter(random.sample(range(25_000, 30_000), 5_000))


class Subject:
    """An engine, and what a test needs around it.

    Args:
        new_engine: another worker's way to the same engine.
        occupied: lets somebody else listen on a port of the host.
        folder: for contexts and logs.
        other_installation: another installation's way to the same engine.
    """

    def __init__(
        self,
        new_engine: Callable[[], ContainerEngine],
        occupied: Callable[[int], AbstractContextManager[None]],
        folder: Path,
        other_installation: Callable[[], ContainerEngine],
    ) -> None:
        self.engine = new_engine()
        self.other_installation = other_installation
        self.new_engine = new_engine
        self.occupied = occupied
        self.folder = folder
        self._images: dict[str, str] = {}

    def image(self, command: str = SERVES) -> str:
        """Return the Docker image id of an image that runs `command`; each is built once."""
        if command not in self._images:
            context = make_busybox_context(self.folder / f"image-{len(self._images)}", command)
            self._images[command] = self.engine.build(self.build_order(context))
        return self._images[command]

    def image_of(self, program: list[str]) -> str:
        """Return the Docker image id of an image that runs a program without a shell."""
        context = make_context(self.folder / uuid.uuid4().hex, program)
        return self.engine.build(self.build_order(context))

    def build_order(self, context: Path, *, timeout_seconds: float = 60.0) -> BuildOrder:
        build_id = next(_build_ids)
        return BuildOrder(
            build_id=build_id,
            image_id=7,
            user_id="ada",
            context=context,
            log=self.folder / "logs" / f"{build_id}.log",
            tags=(f"contract-{self.folder.name.lower()}:b{build_id}",),
            timeout_seconds=timeout_seconds,
        )

    def order(
        self,
        docker_image_id: str | None = None,
        *,
        name: str | None = None,
        port: int | None = None,
        env: dict[str, str] | None = None,
        memory_bytes: int = 64 * 1024 * 1024,
    ) -> ContainerOrder:
        uid = uuid.uuid4()
        return ContainerOrder(
            uid=uid,
            image_id=7,
            name=name or f"contract-{uid.hex[:12]}",
            docker_image_id=self.image() if docker_image_id is None else docker_image_id,
            env={"PORT": "8080", **(env or {})},
            internal_port=8080,
            external_port=port or free_port(),
            cpu_limit=Decimal("0.5"),
            memory_bytes=memory_bytes,
        )

    def seen(self, reference: str) -> Observation:
        """Return what is seen of a container that must be there."""
        found = self.engine.inspect(reference)
        assert found is not None
        return found

    def ended(self, reference: str) -> Observation:
        """Wait until a container has ended, and return what is seen of it."""
        wait_until(lambda: not self.seen(reference).running)
        return self.seen(reference)


@contextmanager
def real_subject(docker_host: str, folder: Path) -> Iterator[Subject]:
    """Yield a real engine; what was made on it is removed afterwards."""
    installation_id = f"contract-{uuid.uuid4().hex[:12]}"

    def new_engine(of: str = installation_id) -> ContainerEngine:
        return DockerContainerEngine(
            docker_host=docker_host, installation_id=of, scratch=folder / "scratch"
        )

    try:
        yield Subject(new_engine, listening, folder, lambda: new_engine(f"{installation_id}-2"))
    finally:
        for each in (installation_id, f"{installation_id}-2"):
            _remove_all_of(docker_host, each)


def _remove_all_of(docker_host: str, installation_id: str) -> None:
    ours = ("--filter", f"label=orchestrator.installation_id={installation_id}")
    for listed, removed in ((("ps", "--all"), ("rm",)), (("images",), ("image", "rm"))):
        found = _docker(docker_host, *listed, "--quiet", "--no-trunc", *ours).split()
        if found:
            _docker(docker_host, *removed, "--force", *sorted(set(found)))


@contextmanager
def fake_subject(folder: Path) -> Iterator[Subject]:
    """Yield the fake."""
    docker = FakeDocker()

    @contextmanager
    def occupied(port: int) -> Iterator[None]:
        docker.occupy_port(port)
        yield
        docker.free_port(port)

    yield Subject(
        lambda: FakeContainerEngine(docker),
        occupied,
        folder,
        lambda: FakeContainerEngine(docker, "another"),
    )


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def free_port() -> int:
    """Return a port of the host that nobody listens on; each is given out once.

    Once, because who asked earlier may hold it where no probe sees it: in the fake, or in a
    container that was created and not started yet.
    """
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Wait for what happens in another process and tells nobody."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(_PAUSE_SECONDS)


def _docker(docker_host: str, *command: str) -> str:
    return subprocess.run(
        ["docker", "--host", docker_host, *command], capture_output=True, text=True, check=False
    ).stdout
