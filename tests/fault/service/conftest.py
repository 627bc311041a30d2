"""What processes die over: one database, one volume, one nursery for all tests of the folder."""

from collections.abc import Callable, Iterator

import pytest

from tests.fault.service.ground import Ground
from tests.fault.service.nursery import Nursery
from tests.fault.service.remote_docker import DockerServer
from tests.integration.postgres.installation import Installation


@pytest.fixture(scope="session")
def ground(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    (folder / "volume").mkdir()
    with (
        Installation(new_database(), folder / "volume") as installation,
        DockerServer(folder / "docker.sock") as server,
        Nursery(folder / "log") as nursery,
    ):
        ground = Ground(installation, folder / "volume", server, nursery, folder)
        yield ground
        ground.close()
