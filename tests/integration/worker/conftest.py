"""An installation and a worker of it on an engine in memory, both new for each test."""

from collections.abc import Iterator

import pytest

from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.worker import Worker


@pytest.fixture(scope="module")
def shared_installation(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with Installation(module_database, tmp_path_factory.mktemp("volume")) as installation:
        yield installation


@pytest.fixture
def worker(shared_installation: Installation) -> Worker:
    shared_installation.empty()
    return Worker(shared_installation, FakeContainerEngine())
