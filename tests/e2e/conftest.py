"""The whole service as processes, on a database, topics and a volume of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.scratch_image import write_scratch_context
from tests.e2e.running_service import RunningService, running_service


@pytest.fixture(scope="session")
def service(
    new_database: Callable[[], str],
    broker: object,
    engine_host: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningService]:
    """Api, worker and relay, shared by the tests that end none of them."""
    bootstrap_servers: str = broker.bootstrap_servers  # type: ignore[attr-defined] # two kinds
    folder = tmp_path_factory.mktemp("service")
    with running_service(folder, new_database(), bootstrap_servers, engine_host) as running:
        yield running


@pytest.fixture(scope="session")
def hello_context(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive whose container serves a page on PORT."""
    return archive(write_scratch_context(tmp_path_factory.mktemp("context") / "hello"))


@pytest.fixture(scope="session")
def hello_image(service: RunningService, hello_context: bytes) -> int:
    """A ready image of it that allows five instances."""
    return service.upload(hello_context, max_instances="5", memory_limit="64m", cpu_limit="0.25")
