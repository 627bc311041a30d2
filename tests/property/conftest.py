"""The installations that machines live on."""

from collections.abc import Iterator

import pytest

from tests.integration.postgres.installation import Installation


@pytest.fixture(scope="module")
def installation(
    module_database: str, tmp_path_factory: pytest.TempPathFactory, ports: int
) -> Iterator[Installation]:
    """An installation for the machine of this module, with as many host ports as it says."""
    volume = tmp_path_factory.mktemp("volume")
    with Installation(module_database, volume, ports=ports) as started:
        yield started
