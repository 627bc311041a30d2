"""The real client where no Docker Engine answers."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import BuildOrder, CallLimits, ContainerOrder
from application.errors import EngineError, EngineTransient, EngineUnreachable, OutcomeUnknown
from tests.contracts.subjects import free_port

Call = Callable[[DockerContainerEngine, Path], object]

DOCKER_ID = "3052b3ed" * 8
CALLS: dict[str, Call] = {
    "engine_id": lambda engine, _: engine.engine_id(),
    "version": lambda engine, _: engine.version(),
    "build": lambda engine, folder: engine.build(_build_order(folder)),
    "tag": lambda engine, _: engine.tag(f"sha256:{DOCKER_ID}", "web:latest"),
    "remove_tag": lambda engine, _: engine.remove_tag("web:latest"),
    "create": lambda engine, _: engine.create(_container_order()),
    "start": lambda engine, _: engine.start(DOCKER_ID),
    "stop": lambda engine, _: engine.stop(DOCKER_ID, 0.0),
    "remove": lambda engine, _: engine.remove(DOCKER_ID),
    "inspect": lambda engine, _: engine.inspect(DOCKER_ID),
    "log_lines": lambda engine, _: engine.log_lines(DOCKER_ID, 10),
}


@pytest.fixture(autouse=True)
def client(engine_host: str) -> None:
    """The client is there where an engine is."""


@pytest.mark.parametrize("name", CALLS)
def test_without_a_socket_every_call_finds_nobody(tmp_path: Path, name: str) -> None:
    engine = _engine(f"unix://{tmp_path}/none.sock", tmp_path)

    with pytest.raises(EngineUnreachable):
        CALLS[name](engine, tmp_path)


@pytest.mark.parametrize("name", CALLS)
def test_a_port_that_is_closed_is_nobody(tmp_path: Path, name: str) -> None:
    engine = _engine(f"tcp://127.0.0.1:{free_port()}", tmp_path)

    with pytest.raises(EngineUnreachable):
        CALLS[name](engine, tmp_path)


@pytest.mark.parametrize("name", CALLS)
def test_an_engine_that_hangs_up_is_asked_again(tmp_path: Path, hanging_up: str, name: str) -> None:
    engine = _engine(hanging_up, tmp_path)

    with pytest.raises(EngineError) as raised:
        CALLS[name](engine, tmp_path)

    assert isinstance(raised.value, EngineTransient | EngineUnreachable)


def test_an_engine_that_never_answers_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        engine = _engine(f"tcp://127.0.0.1:{server.getsockname()[1]}", tmp_path)

        with pytest.raises(OutcomeUnknown):
            engine.start(DOCKER_ID)


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """The address of a server that closes every connection at once, as a dying engine does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _engine(docker_host: str, folder: Path) -> DockerContainerEngine:
    return DockerContainerEngine(
        docker_host=docker_host,
        installation_id="test",
        publish_host_ip="127.0.0.1",
        scratch=folder / "scratch",
        limits=CallLimits(start=2.0),
    )


def _build_order(folder: Path) -> BuildOrder:
    context = folder / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return BuildOrder(1, 1, "ada", context, folder / "1.log", ("web:b1",), 20.0)


def _container_order() -> ContainerOrder:
    return ContainerOrder(
        uid=uuid.uuid4(),
        image_id=1,
        name="web",
        docker_image_id=f"sha256:{DOCKER_ID}",
        env={},
        internal_port=8080,
        external_port=25_001,
        cpu_limit=Decimal("0.5"),
        memory_bytes=64 * 1024 * 1024,
    )
