"""A job is over after its step, whatever the step and its clean-up do."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest

from adapters.docker.readiness_prober import SelectorReadinessProber
from application.errors import DatabaseUnavailable, LeaseLost
from application.leases import Lease, Work
from application.ports import ContainerEngine
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from entrypoints.worker.dispatcher import Dispatcher
from entrypoints.worker.engine_monitor import EngineMonitor
from tests.contracts.fake_engine import FakeContainerEngine
from tests.unit.worker.leases import LONG, FakeLeases, build_lease


class FakeBuilds:
    """Offers its leases once, and fails in carrying them out."""

    def __init__(self) -> None:
        self.due: list[Lease] = []
        self.trouble: Exception | None = None
        self.acted = threading.Event()

    def claim(self, engine_id: str, limit: int) -> Sequence[Lease]:
        due, self.due = self.due, []
        return due

    def act(self, lease: Lease, engine_id: str) -> None:
        self.acted.set()
        if self.trouble is not None:
            raise self.trouble


class Idle:
    """Has nothing to do."""

    engine_id = "an-engine"

    def claim(self, *_: object) -> Sequence[object]:
        return []


@pytest.fixture
def leases() -> FakeLeases:
    return FakeLeases()


@pytest.fixture
def builds() -> FakeBuilds:
    return FakeBuilds()


@pytest.fixture
def dispatcher(leases: FakeLeases, builds: FakeBuilds) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(
        cast(ReconcileContainer, Idle()),
        cast(RunBuild, builds),
        cast(RemoveImage, Idle()),
        leases.port(),
        cast(ContainerEngine, FakeContainerEngine()),
        cast(EngineMonitor, Idle()),
        cast(SelectorReadinessProber, Idle()),
        dict.fromkeys(Work, 1),
        probe_host="127.0.0.1",
        startup_timeout_seconds=LONG,
        lease_seconds=LONG,
    )
    running = threading.Thread(target=dispatcher.run)
    running.start()
    yield dispatcher
    dispatcher.stop()
    running.join(10)
    assert not running.is_alive()


@pytest.mark.parametrize(
    "trouble",
    [RuntimeError("nobody foresaw this"), LeaseLost(), DatabaseUnavailable("away"), None],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_job_is_over_even_if_its_lease_cannot_be_given_up(
    dispatcher: Dispatcher, leases: FakeLeases, builds: FakeBuilds, trouble: Exception | None
) -> None:
    leases.trouble = RuntimeError("nor this")
    builds.trouble = trouble
    builds.due = [build_lease()]

    dispatcher.wake()

    assert builds.acted.wait(10)
    _until(lambda: not dispatcher._jobs.all())


def test_a_lease_whose_outcome_the_database_did_not_take_is_given_back(
    dispatcher: Dispatcher, leases: FakeLeases, builds: FakeBuilds
) -> None:
    builds.trouble = DatabaseUnavailable("away")
    builds.due = [build_lease()]

    dispatcher.wake()

    _until(lambda: leases.handed_back == [build_lease()])


def test_the_loop_outlives_what_nobody_foresaw(
    dispatcher: Dispatcher, builds: FakeBuilds, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def fail(*_: object) -> Sequence[Lease]:
        failed.set()
        raise RuntimeError("nobody foresaw this")

    with monkeypatch.context() as broken:
        broken.setattr(builds, "claim", fail)
        dispatcher.wake()
        assert failed.wait(10)
    builds.due = [build_lease()]

    assert builds.acted.wait(10)


def test_what_nobody_foresaw_in_one_kind_of_work_keeps_the_others_from_nothing(
    dispatcher: Dispatcher,
    builds: FakeBuilds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = threading.Event()

    def fail(*_: object) -> Sequence[Lease]:
        failed.set()
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Idle, "claim", fail)
    assert failed.wait(10)
    builds.due = [build_lease()]

    assert builds.acted.wait(10)


def _until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not in time")
