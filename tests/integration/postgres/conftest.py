"""One database for a module, emptied before each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres.installation import Installation


@pytest.fixture(scope="module")
def shared_installation(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    volume: Path = tmp_path_factory.mktemp("volume")
    with Installation(module_database, volume) as installation:
        yield installation


@pytest.fixture
def installation(shared_installation: Installation) -> Installation:
    """An installation without users."""
    shared_installation.empty()
    return shared_installation
