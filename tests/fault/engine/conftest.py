"""A service on an engine of its own, which tests end, restart and reach behind its back."""

import os
from collections.abc import Callable, Iterator

import pytest

from entrypoints.dev.engine_packages import missing_packages
from entrypoints.dev.private_engine import Engine
from tests.conftest import GivenBroker, unavailable
from tests.e2e.audited import expect_agreement
from tests.e2e.running_service import RunningService, running_service
from tests.fault.engine.apps import app_archive
from tests.fault.engine.behind import Behind
from tests.fault.lengths import TEST_SECONDS

# Passes are seldom enough that what is told before the next one was told by an event.
PASS_SECONDS = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "behind" in getattr(item, "fixturenames", ()):
            item.add_marker("engine")
            item.add_marker("broker")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def mortal_engine(engine_host: str) -> Iterator[Engine]:
    """An engine that may be killed; `engine_host` says whether there can be one at all."""
    if os.geteuid() != 0 or missing_packages(daemon=True):
        unavailable("a private engine needs root and Docker's packages")
    assert engine_host
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def fault_service(
    new_database: Callable[[], str],
    broker: GivenBroker,
    mortal_engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningService]:
    """Api, worker and relay with short pauses; after all that happened to them they agree."""
    folder = tmp_path_factory.mktemp("fault-service")
    settings = {
        "RESTART_BACKOFF_SECONDS": "0.5",
        "RECONCILE_INTERVAL_SECONDS": str(PASS_SECONDS),
        "HOST_PORT_RANGE": "24000-24099",
    }
    database, servers = new_database(), broker.bootstrap_servers
    with running_service(folder, database, servers, mortal_engine.host, settings) as running:
        yield running
        expect_agreement(running)


@pytest.fixture(scope="session")
def app_image(fault_service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A ready image whose containers do what MODE tells them."""
    context = app_archive(tmp_path_factory.mktemp("app") / "context")
    return fault_service.upload(context, max_instances="10", memory_limit="32m", cpu_limit="0.5")


@pytest.fixture
def behind(
    fault_service: RunningService, mortal_engine: Engine, app_image: int
) -> Iterator[Behind]:
    """What happens behind the service's back; the image's containers go at the end."""
    behind = Behind(fault_service, mortal_engine, app_image)
    yield behind
    behind.clear()
