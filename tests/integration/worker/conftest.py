"""An installation and a worker of it on an engine in memory, both new for each test."""

import shutil
from collections.abc import Iterator

import pytest

from application import retries
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.sweeper import Sweeper
from tests.integration.worker.worker import Worker


@pytest.fixture(scope="module")
def shared_installation(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with Installation(module_database, tmp_path_factory.mktemp("volume")) as installation:
        yield installation


@pytest.fixture
def worker(shared_installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """What is to be tried again rests until the test says that it is due."""
    for pause in ("FIRST_SECONDS", "UNREACHABLE_SECONDS", "EXHAUSTED_FIRST_SECONDS"):
        monkeypatch.setattr(retries, pause, 60.0)
    shared_installation.empty()
    return Worker(shared_installation, FakeContainerEngine())


@pytest.fixture
def auditor(worker: Worker) -> Auditor:
    """Audits of it, of a volume on which nothing is."""
    shutil.rmtree(worker.installation.store.path(""))
    worker.installation.prepare_volume()
    return Auditor(worker)


@pytest.fixture
def sweeper(worker: Worker) -> Sweeper:
    """Sweeps of it, of a volume on which nothing is left over."""
    sweeper = Sweeper(worker)
    # The volume is the module's, and the earlier tests' leftovers with it.
    sweeper.run(force=True)
    return sweeper
