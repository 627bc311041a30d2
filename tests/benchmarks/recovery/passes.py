"""What a pass costs over 1, 10 and 100 containers, beside a bare `docker ps` and one `inspect`.

The containers are as recorded, so a pass finds nothing: what is left is its constant price.
"""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.docker.cli_call import CliCall
from adapters.docker.cli_calls import CliCalls
from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.census import PostgresCensus
from application.engine_calls import ContainerOrder
from application.pass_over_engine import PassOverEngine
from domain.container import Container
from tests.integration.postgres.installation import Installation

_INSTALLATION = "bench-passes"
_PER_IMAGE = 10


@dataclass(slots=True)
class PassCosts:
    """Of one number of containers.

    Attributes:
        calls: of the Docker CLI, in one pass.
        passes: seconds, one figure a pass.
        bare: seconds of a bare `docker ps` and `docker inspect` of all, one figure a pair.
    """

    calls: int = 0
    passes: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


def measure_passes(
    installation: Installation,
    docker_host: str,
    image: str,
    folder: Path,
    *,
    numbers: tuple[int, ...],
    rounds: int,
    say: Callable[[str], None],
) -> dict[int, PassCosts]:
    """Make containers until there are so many, and measure passes and bare pairs in turns."""
    engine = DockerContainerEngine(
        docker_host=docker_host, installation_id=_INSTALLATION, scratch=folder
    )
    engine_id = engine.engine_id()
    installation.registry.heartbeat(engine_id, "127.0.0.1", "", reachable=True, detail=None)
    census = PostgresCensus(installation.pool, lambda _: None)
    passes = PassOverEngine(engine, census, time.monotonic, grace_seconds=60)
    costs: dict[int, PassCosts] = {}
    made = 0
    for number in numbers:
        say(f"passes: {number} containers")
        while made < number:
            _make(installation, engine, engine_id, image, made)
            made += 1
        cost = costs[number] = PassCosts(calls=_calls_of(lambda: passes.run(engine_id)))
        for _ in range(rounds):
            began = time.monotonic()
            report = passes.run(engine_id)
            cost.passes.append(time.monotonic() - began)
            drift = report.drift
            assert (report.found, drift.nominated, len(drift.running)) == (number, [], number)
            cost.bare.append(_bare(docker_host))
    return costs


def _make(
    installation: Installation,
    engine: DockerContainerEngine,
    engine_id: str,
    image: str,
    made: int,
) -> None:
    """Make one more container that runs, and record it as such."""
    if made % _PER_IMAGE == 0:
        hostname = f"bench-{made}.example"
        installation.ready_image(hostname=hostname, maximum=_PER_IMAGE)
    (row,) = installation.rows("SELECT max(id) AS id FROM images")
    (container_id,) = installation.create(row["id"])
    container = installation.transactions.run(lambda uow: uow.containers.lock(container_id))
    docker_id = engine.create(_order(container, image))
    engine.start(docker_id)
    seen = engine.inspect(docker_id)
    assert seen is not None
    assert seen.running
    installation.execute(
        "UPDATE containers SET status = 'running', settled_generation = generation,"
        f" next_attempt_at = NULL, engine_id = '{engine_id}', docker_id = '{docker_id}',"
        f" open_run_id = '{seen.run_id}', container_ip = '{seen.container_ip}'"
        f" WHERE id = {container_id}"
    )


def _order(container: Container, image: str) -> ContainerOrder:
    assert container.external_port is not None
    order = ContainerOrder.of(container, container.external_port)
    return ContainerOrder(
        uid=order.uid,
        image_id=order.image_id,
        name=order.name,
        docker_image_id=image,
        env=order.env,
        internal_port=order.internal_port,
        external_port=order.external_port,
        cpu_limit=order.cpu_limit,
        memory_bytes=order.memory_bytes,
    )


def _calls_of(act: Callable[[], object]) -> int:
    """Count the calls of the Docker CLI that something makes."""
    counted = []
    real = CliCalls.call

    def counting(
        self: CliCalls, seconds: float, key: str | None = None
    ) -> AbstractContextManager[CliCall]:
        counted.append(seconds)
        return real(self, seconds, key)

    CliCalls.call = counting  # type: ignore[method-assign,assignment]
    try:
        act()
    finally:
        CliCalls.call = real  # type: ignore[method-assign]
    return len(counted)


def _bare(docker_host: str) -> float:
    """Return how long a bare `docker ps` takes with one `docker inspect` of what it lists."""
    docker = ["docker", "--host", docker_host]
    began = time.monotonic()
    ours = f"label=orchestrator.installation_id={_INSTALLATION}"
    listed = subprocess.run(
        [*docker, "ps", "--all", "--quiet", "--no-trunc", "--filter", ours],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    inspected = subprocess.run(
        [*docker, "container", "inspect", *listed.stdout.split()],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    json.loads(inspected.stdout)
    return time.monotonic() - began


def remove_all(docker_host: str) -> None:
    """Remove what was made."""
    docker = ["docker", "--host", docker_host]
    ours = f"label=orchestrator.installation_id={_INSTALLATION}"
    listed = subprocess.run(
        [*docker, "ps", "--all", "--quiet", "--filter", ours],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    if ids := listed.stdout.split():
        subprocess.run([*docker, "rm", "--force", *ids], capture_output=True, check=True)
