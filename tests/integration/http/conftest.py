"""One api a module, on a database and a volume of its own, with neither Docker nor Kafka."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import api_settings, caller, upload
from tests.integration.http.footprint import World
from tests.integration.small_disk import SmallDisk, small_disk


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build-contexts")


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    """What a module's api is told beyond the defaults; a module may define its own."""
    return {}


@pytest.fixture(scope="module")
def api(
    module_database: str,
    volume: Path,
    settings_of_module: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServiceProcess]:
    settings = api_settings(module_database, volume, **settings_of_module)
    log = tmp_path_factory.mktemp("api") / "log"
    with ServiceProcess("api", settings, log) as process:
        yield process
    for trouble in ("Traceback", "request failed"):
        assert trouble not in log.read_text()


@pytest.fixture(scope="module")
def backstage(module_database: str, api: ServiceProcess) -> Iterator[Backstage]:
    with Backstage(module_database) as worker:
        yield worker


@pytest.fixture(scope="module")
def world(module_database: str, volume: Path) -> World:
    return World(module_database, volume)


@pytest.fixture(scope="module")
def mounted_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A disk of 16 MiB, for modules whose volume is on it."""
    with small_disk(tmp_path_factory.mktemp("disk") / "volume", 16 * 1024 * 1024) as disk:
        yield disk


@pytest.fixture
def disk(mounted_disk: SmallDisk) -> Iterator[SmallDisk]:
    """That disk, as empty as the service has left it; what the test fills is free afterwards."""
    yield mounted_disk
    mounted_disk.free()


@pytest.fixture
def client(api: ServiceProcess) -> Iterator[httpx.Client]:
    """Ada, who owns what the tests make."""
    with caller(api.url, "ada") as client:
        yield client


@pytest.fixture
def stranger(api: ServiceProcess) -> Iterator[httpx.Client]:
    """Bob, another user."""
    with caller(api.url, "bob") as client:
        yield client


@pytest.fixture
def image_id(client: httpx.Client, backstage: Backstage) -> int:
    """A ready image of Ada's with room for three containers."""
    image_id: int = upload(client, max_instances="3", container_port="5000")["id"]
    backstage.build(image_id)
    return image_id


@pytest.fixture
def running(client: httpx.Client, backstage: Backstage, image_id: int) -> Any:
    """A running container of that image."""
    [container] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id)
    return client.get(f"/api/containers/{container['id']}").json()
