"""What the monitor tells of the engine stays true, whatever goes wrong while it looks."""

import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.engines import PostgresEngineRegistry
from entrypoints.worker import engine_monitor
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from tests.contracts.fake_engine import FakeContainerEngine


class FakeRegistry:
    """Takes every heartbeat, unless there is trouble."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    def heartbeat(self, *_: object, **__: object) -> None:
        if self.trouble is not None:
            raise self.trouble

    def set_port_range(self, *_: object) -> None:
        return


@pytest.fixture
def engine() -> FakeContainerEngine:
    return FakeContainerEngine()


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def monitor(
    engine: FakeContainerEngine, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineMonitor]:
    monkeypatch.setattr(engine_monitor, "CHECK_SECONDS", 0.01)
    monitor = EngineMonitor(
        cast(DockerContainerEngine, engine),
        cast(PostgresEngineRegistry, registry),
        EngineAddress("127.0.0.1", 20000, 20010, "tcp://engine:2376"),
    )
    monitor.start()
    yield monitor
    monitor.close()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def test_an_error_that_nobody_foresaw_is_told_and_passes(
    monitor: EngineMonitor, engine: FakeContainerEngine, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id)

    registry.trouble = RuntimeError("nobody foresaw this")
    _until(lambda: monitor.engine_id is None and monitor.detail)
    registry.trouble = None

    _until(lambda: monitor.engine_id == engine.docker.engine_id and monitor.detail is None)


def test_another_engine_behind_the_same_address_is_left_alone(
    monitor: EngineMonitor, engine: FakeContainerEngine
) -> None:
    _until(lambda: monitor.engine_id)

    engine.another_engine()

    _until(lambda: monitor.engine_id is None)
    assert monitor.detail == "another engine answers at DOCKER_HOST"
