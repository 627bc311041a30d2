"""A build whose engine dies is no failure of the build: it is tried again."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import BuildOrder
from application.errors import EngineError, EngineTransient, EngineUnreachable
from entrypoints.dev.engine_packages import missing_packages
from entrypoints.dev.private_engine import Engine
from tests.conftest import unavailable
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import wait_until


@pytest.fixture
def private_engine(engine_host: str) -> Iterator[Engine]:
    """An engine that may be killed; `engine_host` says whether there can be one at all."""
    if os.geteuid() != 0 or missing_packages(daemon=True):
        unavailable("a private engine needs root and Docker's packages")
    with Engine() as engine:
        yield engine


@pytest.fixture
def seconds() -> Iterator[str]:
    """How long the step sleeps: by it, it is found. Docker leaves it behind when it dies."""
    value = str(10_000_000 + uuid.uuid4().int % 90_000_000)
    yield value
    for pid in _sleeping(value):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_build_that_loses_its_engine_is_transient(
    private_engine: Engine, tmp_path: Path, seconds: str
) -> None:
    engine = DockerContainerEngine(
        docker_host=private_engine.host,
        installation_id="dies",
        publish_host_ip="127.0.0.1",
        scratch=tmp_path / "scratch",
    )
    context = make_busybox_context(tmp_path / "context", run=f"exec /bin/busybox sleep {seconds}")
    order = BuildOrder(1, 1, "ada", context, tmp_path / "1.log", ("dies:b1",), 60.0)
    ended: list[EngineError] = []

    def build() -> None:
        try:
            engine.build(order)
        except EngineError as error:
            ended.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    wait_until(lambda: bool(_sleeping(seconds)))
    private_engine.kill()
    thread.join()

    assert [type(error) for error in ended] == [EngineTransient]
    with pytest.raises(EngineUnreachable):
        engine.engine_id()


def _sleeping(seconds: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"/bin/busybox\0sleep\0{seconds}\0".encode():
                found.append(int(path.parent.name))
    return found
