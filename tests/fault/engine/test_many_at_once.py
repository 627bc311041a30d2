"""Two apis and two workers share one database and one engine: limits and ports hold."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.ports import free_ports
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.scratch_image import write_scratch_context
from entrypoints.dev.service_processes import ServiceProcess
from tests.conftest import GivenBroker
from tests.e2e.audited import expect_agreement
from tests.e2e.running_service import RunningService, running_service
from tests.fault.lengths import TEST_SECONDS

pytestmark = [pytest.mark.engine, pytest.mark.broker, pytest.mark.timeout(TEST_SECONDS)]

_CREATES = 100
_LIMIT = 10
_PORTS = 12


@dataclass(frozen=True)
class Pair:
    """A service with a second api and a second worker."""

    service: RunningService
    second_api: str


@pytest.fixture
def pair(
    new_database: Callable[[], str], broker: GivenBroker, mortal_engine: Engine, tmp_path: Path
) -> Iterator[Pair]:
    settings = {
        "HOST_PORT_RANGE": f"24300-{24300 + _PORTS - 1}",
        "DATABASE_POOL_SIZE": "40",
        # Tags bear user and image: another installation of the same user would share them.
        "DEV_USER_ID": "pair",
    }
    servers = broker.bootstrap_servers
    with contextlib.ExitStack() as parts:
        service = parts.enter_context(
            running_service(tmp_path, new_database(), servers, mortal_engine.host, settings)
        )
        ports = [str(port) for port in free_ports(2)]
        second = dict(service.settings) | {"PORT": ports[0], "WORKER_PORT": ports[1]}
        for name in ("api", "worker"):
            log = tmp_path / f"second-{name}.log"
            parts.enter_context(ServiceProcess(name, second, log))
        yield Pair(service, f"http://127.0.0.1:{ports[0]}")


def test_a_hundred_concurrent_creates_make_exactly_as_many_as_the_limit_on_ports_of_their_own(
    pair: Pair, tmp_path: Path
) -> None:
    context = archive(write_scratch_context(tmp_path / "hello"))
    image_id = pair.service.upload(
        context, max_instances=str(_LIMIT), memory_limit="32m", cpu_limit="0.1"
    )

    def create(number: int) -> int:
        url = pair.second_api if number % 2 else pair.service.api.url
        answer = httpx.post(f"{url}/api/containers/{image_id}?wait=120", timeout=180)
        return answer.status_code

    with ThreadPoolExecutor(_CREATES) as pool:
        codes = Counter(pool.map(create, range(_CREATES)))

    rows = pair.service.rows("SELECT * FROM containers WHERE image_id = %s", image_id)
    told = pair.service.rows("SELECT type FROM events WHERE container_id IS NOT NULL")
    assert codes == {201: _LIMIT, 409: _CREATES - _LIMIT}
    assert [row["status"] for row in rows] == ["running"] * _LIMIT
    assert len({row["external_port"] for row in rows}) == _LIMIT
    assert Counter(row["type"] for row in told) == {
        "container.created": _LIMIT,
        "container.started": _LIMIT,
    }
    # Slots and ports are held by one each, and what is in Docker is just that.
    expect_agreement(pair.service)
