"""Who reaches whom, on an engine with the flags and the networks of compose.yaml."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from entrypoints.dev.scratch_image import write_scratch_context
from tests.compose_file import stack
from tests.contracts.subjects import wait_until
from tests.images.image_container import docker
from tests.images.tls_engine import TlsEngine

Asks = Callable[[str, str], bool]


@pytest.fixture(scope="module")
def image(tls_engine: TlsEngine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What serves a page on port 8080, and can ask for one."""
    context = write_scratch_context(tmp_path_factory.mktemp("page"))
    docker(tls_engine.host, "buildx", "build", "--load", "--tag", "page:test", str(context))
    return "page:test"


@pytest.fixture
def asks(tls_engine: TlsEngine, image: str) -> Asks:
    """Whether a container in this network gets the page from this address."""

    def ask(network: str, address: str) -> bool:
        run = ["docker", "--host", tls_engine.host, "run", "--rm", "--init", "--network", network]
        # Its own limit, -T, ends busybox's wget by a segmentation fault.
        asking = [*run, image, "timeout", "3", "wget", "-q", "-O", "-", f"http://{address}/"]
        done = subprocess.run(asking, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in {0, 1, 128 + signal.SIGTERM}, done.stderr
        return done.stdout == "hello\n"

    return ask


def test_containers_of_users_reach_each_other_by_external_ports_alone(
    tls_engine: TlsEngine, image: str, asks: Asks
) -> None:
    with _served(tls_engine.host, image, "bridge", "--publish", "20099:8080") as address:
        wait_until(lambda: asks("bridge", f"{tls_engine.address}:20099"))

        assert not asks("bridge", f"{address}:8080")


def test_the_network_of_the_engine_does_not_lead_into_the_backend(
    tls_engine: TlsEngine, image: str, asks: Asks
) -> None:
    with contextlib.ExitStack() as made:
        names = {}
        for name, network in stack()["networks"].items():
            names[name] = f"{name}-{uuid4().hex[:6]}"
            options = [f"--opt={k}={v}" for k, v in network.get("driver_opts", {}).items()]
            docker(tls_engine.host, "network", "create", *options, names[name])
            made.callback(docker, tls_engine.host, "network", "rm", names[name])
        address = made.enter_context(_served(tls_engine.host, image, names["backend"]))
        wait_until(lambda: asks(names["backend"], f"{address}:8080"))

        assert not asks(names["engines"], f"{address}:8080")


@contextlib.contextmanager
def _served(host: str, image: str, network: str, *flags: str) -> Iterator[str]:
    """Serve the page in a network; yield the container's address there."""
    container = docker(host, "run", "--detach", "--network", network, *flags, image).strip()
    try:
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        yield docker(host, "inspect", "--format", shown, container).strip()
    finally:
        docker(host, "rm", "--force", container)
