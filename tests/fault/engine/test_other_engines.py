"""DOCKER_HOST leads to another engine: an empty one must not make everything look ended."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.scratch_image import write_scratch_context
from tests.conftest import GivenBroker
from tests.e2e.audited import expect_agreement
from tests.e2e.running_service import RunningService, running_service
from tests.fault.lengths import TEST_SECONDS

pytestmark = [pytest.mark.engine, pytest.mark.broker, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture
def address(tmp_path: Path, mortal_engine: Engine) -> Path:
    """A socket's path that can be made to lead elsewhere."""
    path = tmp_path / "docker.sock"
    _lead(path, mortal_engine)
    return path


@pytest.fixture
def service(
    new_database: Callable[[], str], broker: GivenBroker, address: Path, tmp_path: Path
) -> Iterator[RunningService]:
    settings = {"HOST_PORT_RANGE": "24200-24219", "RECONCILE_INTERVAL_SECONDS": "1"}
    host = f"unix://{address}"
    with running_service(
        tmp_path, new_database(), broker.bootstrap_servers, host, settings
    ) as running:
        yield running


@pytest.mark.parametrize("restarted", [False, True], ids=["under-the-worker", "at-its-start"])
def test_an_empty_engine_at_the_same_address_is_in_quarantine_and_nothing_is_told_as_ended(
    service: RunningService,
    address: Path,
    mortal_engine: Engine,
    tmp_path: Path,
    restarted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    image_id = service.upload(archive(write_scratch_context(tmp_path / "hello")))
    (container,) = service.http.post(f"/api/containers/{image_id}?wait=60").json()
    assert container["status"] == "running"

    with Engine() as empty:
        if restarted:
            service.worker.stop()
        _lead(address, empty)
        if restarted:
            service.worker.start(ready=False)
        readiness = _unready(service)
        wish = service.http.post(f"/api/containers/{container['id']}/stop?wait=0").json()
        told = service.told(container["id"], 2)
        # It answers again, and what was wished meanwhile is carried out there.
        _lead(address, mortal_engine)
        if restarted:
            service.worker.stop()
            service.worker.start()
        service.wait_for(
            "SELECT 1 FROM containers WHERE id = %s AND status = 'stopped'", container["id"]
        )
        expect_agreement(service)

    assert "engine" in str(readiness["needs"]["engine"])
    assert wish["status"] == "stopping"
    assert [event["event"] for event in told] == ["container.created", "container.started"]
    if restarted:
        (other,) = service.rows(
            "SELECT quarantine_reason FROM engines WHERE quarantined_at IS NOT NULL"
        )
        assert "held 1 container(s)" in other["quarantine_reason"]


def _lead(address: Path, engine: Engine) -> None:
    address.unlink(missing_ok=True)
    address.symlink_to(engine.host.removeprefix("unix://"))


def _unready(service: RunningService) -> dict[str, dict[str, str]]:
    """Return what the worker says of itself, once it is not ready."""
    while True:
        answer = httpx.get(f"{service.worker.url}/readyz", timeout=30)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            body: dict[str, dict[str, str]] = answer.json()
            if body["needs"]["engine"] not in {None, "not asked yet"}:
                return body
