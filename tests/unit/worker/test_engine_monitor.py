"""What the monitor tells of the engine stays true, whatever goes wrong while it looks."""

import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.engines import PostgresEngineRegistry
from entrypoints.worker import engine_monitor
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from tests.contracts.fake_engine import FakeContainerEngine


class FakeRegistry:
    """Takes every heartbeat, unless there is trouble; tells of a quarantine if there is one."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.quarantine: str | None = None

    def heartbeat(self, *_: object, **__: object) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        return self.quarantine

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


def test_an_engine_in_quarantine_is_left_alone_and_told_until_that_ends(
    monitor: EngineMonitor, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id)
    trusted = _gauge()

    registry.quarantine = "5 of 6 are missing"
    _until(lambda: monitor.engine_id is None)
    told, quarantined = monitor.detail, _gauge()
    registry.quarantine = None
    _until(lambda: monitor.engine_id)

    assert told == "in quarantine: 5 of 6 are missing"
    assert (trusted, quarantined, _gauge()) == (0.0, 1.0, 0.0)


def test_a_quarantine_is_an_error_in_the_log(
    monitor: EngineMonitor, registry: FakeRegistry
) -> None:
    with capture_logs() as logs:
        registry.quarantine = "5 of 6 are missing"
        _until(lambda: any(line["log_level"] == "error" for line in logs))

    (line,) = (line for line in logs if line["log_level"] == "error")
    assert line["detail"] == "in quarantine: 5 of 6 are missing"


def _gauge() -> float | None:
    return REGISTRY.get_sample_value("worker_engine_quarantined")


def test_it_counts_for_how_long_the_engine_has_not_answered(
    monitor: EngineMonitor, engine: FakeContainerEngine
) -> None:
    _until(lambda: monitor.engine_id)
    before = monitor.away_seconds()

    engine.docker.reachable = False
    _until(lambda: monitor.away_seconds() >= 0.05)
    engine.docker.reachable = True
    _until(lambda: monitor.engine_id)
    while_away = monitor.away_seconds()
    engine.calls.clear()
    _until(lambda: len(engine.calls) > 3)

    assert (before, monitor.away_seconds()) == (0.0, while_away)
