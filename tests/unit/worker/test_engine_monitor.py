"""What the monitor tells of the engine stays true, whatever goes wrong while it looks."""

import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from adapters.docker.answered_time import AnsweredTime
from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.engines import PostgresEngineRegistry
from application.errors import DatabaseUnavailable
from entrypoints.worker import engine_monitor
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine

ANOTHER = "another engine answers at DOCKER_HOST"


class FakeRegistry:
    """Takes every heartbeat, unless there is trouble; tells of a quarantine if there is one."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.quarantine: str | None = None
        self.engines: dict[str, tuple[str, bool, str | None]] = {}

    def heartbeat(
        self,
        engine_id: str,
        _: str,
        version: str,
        *,
        reachable: bool,
        detail: str | None,
        **__: str,
    ) -> str | None:
        if self.trouble is not None:
            raise self.trouble
        self.engines[engine_id] = (version, reachable, detail)
        return self.quarantine if reachable else None

    def set_port_range(self, *_: object) -> None:
        return


@pytest.fixture
def engine() -> FakeContainerEngine:
    return FakeContainerEngine()


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def answered_time() -> AnsweredTime:
    return AnsweredTime()


@pytest.fixture
def monitor(
    engine: FakeContainerEngine,
    registry: FakeRegistry,
    answered_time: AnsweredTime,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[EngineMonitor]:
    monkeypatch.setattr(engine_monitor, "CHECK_SECONDS", 0.01)
    monitor = EngineMonitor(
        cast(DockerContainerEngine, engine),
        cast(PostgresEngineRegistry, registry),
        EngineAddress("127.0.0.1", 20000, 20010, "tcp://engine:2376"),
        answered_time,
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

    _until(lambda: monitor.detail == ANOTHER)
    assert monitor.engine_id is None


def test_another_engine_is_told_as_it_is_and_the_known_one_as_out_of_reach(
    monitor: EngineMonitor, engine: FakeContainerEngine, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id)
    known = engine.docker
    known_id = known.engine_id

    registry.quarantine = "at this address engine A held 1 container(s)"
    engine.docker = FakeDocker()
    _until(lambda: registry.engines.keys() > {known_id} and _gauge() == 1.0)
    detail, told = monitor.detail, dict(registry.engines)
    registry.quarantine = None
    engine.docker = known
    _until(lambda: monitor.engine_id == known_id and _gauge() == 0.0)

    assert detail == "in quarantine: at this address engine A held 1 container(s)"
    assert told.pop(known_id)[1:] == (False, ANOTHER)
    assert [each[1:] for each in told.values()] == [(True, None)]
    assert registry.engines[known_id][1:] == (True, None)


def test_another_engine_is_left_alone_though_nobody_can_be_told(
    monitor: EngineMonitor, engine: FakeContainerEngine, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id)

    registry.trouble = DatabaseUnavailable("the database is away")
    engine.another_engine()

    _until(lambda: monitor.detail == ANOTHER)
    assert monitor.engine_id is None


def test_an_engine_in_quarantine_is_left_alone_and_told_until_that_ends(
    monitor: EngineMonitor, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id and _gauge() == 0.0)

    registry.quarantine = "5 of 6 are missing"
    _until(lambda: monitor.engine_id is None and _gauge() == 1.0)
    told = monitor.detail
    registry.quarantine = None
    _until(lambda: monitor.engine_id and _gauge() == 0.0)

    assert told == "in quarantine: 5 of 6 are missing"


def test_a_quarantine_is_an_error_in_the_log(
    monitor: EngineMonitor, registry: FakeRegistry
) -> None:
    with capture_logs() as logs:
        registry.quarantine = "5 of 6 are missing"
        _until(lambda: any(line["log_level"] == "error" for line in logs))

    (line,) = (line for line in logs if line["log_level"] == "error")
    assert line["detail"] == "in quarantine: 5 of 6 are missing"


def test_a_worker_that_ends_does_not_tell_of_its_engine_as_unreachable(
    monitor: EngineMonitor, engine: FakeContainerEngine, registry: FakeRegistry
) -> None:
    _until(lambda: monitor.engine_id)

    engine.interrupt_all()
    called = len(engine.calls)
    _until(lambda: len(engine.calls) >= called + 3)

    assert [reachable for _, reachable, _ in registry.engines.values()] == [True]
    assert monitor.detail is None


def _gauge() -> float | None:
    return REGISTRY.get_sample_value("worker_engine_quarantined")


def test_time_counts_while_the_engine_answers_and_not_while_it_is_away(
    monitor: EngineMonitor, engine: FakeContainerEngine, answered_time: AnsweredTime
) -> None:
    _until(lambda: monitor.engine_id)
    answered = answered_time.stopwatch()
    _until(lambda: answered() >= 0.05)

    engine.docker.reachable = False
    _until(lambda: monitor.engine_id is None)
    before, looks = answered(), len(engine.calls)
    _until(lambda: len(engine.calls) >= looks + 5)
    while_away = answered()
    engine.docker.reachable = True
    _until(lambda: answered() > before)

    assert while_away == before


def test_time_does_not_count_while_another_engine_answers(
    monitor: EngineMonitor, engine: FakeContainerEngine, answered_time: AnsweredTime
) -> None:
    _until(lambda: monitor.engine_id)
    answered = answered_time.stopwatch()

    engine.another_engine()
    _until(lambda: monitor.detail == ANOTHER)
    before, looks = answered(), len(engine.calls)
    _until(lambda: len(engine.calls) >= looks + 5)

    assert answered() == before
