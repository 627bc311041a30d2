"""One profile for every property: no deadline on a slow machine, and a failure can be replayed.

With CI=true the examples are always the same; elsewhere each run looks at new ones, a failure is
kept in `.hypothesis` and printed as a blob for `@reproduce_failure`.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.integration.postgres.installation import Installation

settings.register_profile(
    "orchestrator",
    deadline=None,
    print_blob=True,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("orchestrator")


@pytest.fixture(scope="module")
def installation(
    module_database: str, tmp_path_factory: pytest.TempPathFactory, ports: int
) -> Iterator[Installation]:
    """An installation for the machine of this module, with as many host ports as it says."""
    volume = tmp_path_factory.mktemp("volume")
    with Installation(module_database, volume, ports=ports) as started:
        yield started
