"""The images, built for real and run against real servers: `make test-images`, as root on Debian.

It builds on a private engine whose images and build cache are kept from run to run, so that only
the first run takes long. Without TEST_IMAGES none of it is collected: `make test` must stay quick.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from entrypoints.dev.engine import prepare_private_engine
from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.long_command import run_long
from entrypoints.dev.ports import free_ports
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.stand_in_image import stand_in_image
from tests.images.certificates import make_certificates
from tests.images.image_container import LABEL, docker, remove_leftovers
from tests.images.service_in_containers import ServiceInContainers
from tests.images.tls_engine import TlsEngine
from tests.integration.worker_process.freezing_proxy import FreezingProxy

collect_ignore_glob = [] if os.environ.get("TEST_IMAGES") else ["test_*.py"]

TARGETS = ("api", "relay", "worker")
_BEGAN = time.monotonic()


def say(line: str) -> None:
    """Tell the progress at once; `make test-images` lets pytest capture nothing."""
    sys.stdout.write(f"[{time.monotonic() - _BEGAN:4.0f} s] {line}\n")
    sys.stdout.flush()


@pytest.fixture(scope="session")
def builder() -> Iterator[Engine]:
    """The engine that builds the images and runs them, kept under a name of its own."""
    prepare_private_engine(say=say)
    with Engine("images") as engine:
        remove_leftovers(engine.host)
        say(f"an engine at {engine.host}")
        yield engine
        remove_leftovers(engine.host)


@pytest.fixture(scope="session")
def stand_in(builder: Engine) -> str:
    """The name of what stands in for `python:3.13-slim`."""
    began = time.monotonic()
    name = stand_in_image(builder.host, say)
    say(f"stand-in ready after {time.monotonic() - began:.0f} s")
    return name


@pytest.fixture(scope="session")
def images(builder: Engine, stand_in: str) -> dict[str, str]:
    """The name of each target's image."""
    names = {}
    for target in TARGETS:
        names[target] = f"orchestrator-{target}:test"
        began = time.monotonic()
        build(builder.host, stand_in, target, names[target])
        say(f"{target} built in {time.monotonic() - began:.0f} s")
    for name in (stand_in, *names.values()):
        size = int(docker(builder.host, "image", "inspect", "--format", "{{.Size}}", name))
        say(f"size of {name}: {size // 10**6} MB")
    return names


def build(host: str, stand_in: str, target: str, name: str, **arguments: str) -> None:
    """Build a target of the Dockerfile on an engine, and name what comes of it."""
    given = {"PYTHON_IMAGE": stand_in} | arguments
    run_long(
        [
            *("docker", "--host", host, "buildx", "build", "--progress", "plain"),
            *(part for each in given.items() for part in ("--build-arg", "=".join(each))),
            *("--target", target, "--tag", name),
            str(REPOSITORY),
        ],
        target,
        say,
    )


@pytest.fixture(scope="session")
def tls_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEngine]:
    """The engine of the worker under test."""
    with TlsEngine(tmp_path_factory.mktemp("tls")) as engine:
        say(f"an engine over TLS at {engine.tls_host}, in a network namespace of its own")
        yield engine


@pytest.fixture
def volume(builder: Engine) -> Iterator[str]:
    """A named volume for build contexts; it takes its owner from the image's folder."""
    name = f"build-contexts-{uuid4().hex[:8]}"
    docker(builder.host, "volume", "create", "--label", LABEL, name)
    yield name
    docker(builder.host, "volume", "rm", name)


@pytest.fixture
def proxied(bare_database: str) -> Iterator[FreezingProxy]:
    """An empty database by TCP: the embedded server has a socket in a folder that is closed."""
    with FreezingProxy(bare_database) as proxy:
        yield proxy


@pytest.fixture
def service(
    builder: Engine,
    images: dict[str, str],
    tls_engine: TlsEngine,
    proxied: FreezingProxy,
    broker: object,
    volume: str,
) -> Iterator[ServiceInContainers]:
    """Two of each process, migrated and healthy."""
    servers: str = broker.bootstrap_servers  # type: ignore[attr-defined] # two kinds
    with ServiceInContainers(
        builder.host, images, tls_engine, proxied.url, servers, volume, say
    ) as running:
        yield running


@pytest.fixture
def new_ports() -> Callable[[int], list[str]]:
    return lambda count: [str(port) for port in free_ports(count)]


@pytest.fixture
def certificates_of_another_authority(tmp_path: Path, tls_engine: TlsEngine) -> Path:
    """A client's folder that this engine does not accept, and whose authority is another."""
    return make_certificates(tmp_path / "another", tls_engine.address)
