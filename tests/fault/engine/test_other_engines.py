"""DOCKER_HOST leads to another engine: an empty one must not make everything look ended."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.private_engine import Engine
from entrypoints.dev.scratch_image import write_scratch_context
from tests.conftest import GivenBroker
from tests.e2e.audited import expect_agreement
from tests.e2e.running_service import RunningService, running_service
from tests.fault.lengths import TEST_SECONDS
from tests.integration.http.raw_requests import wait_until

_ENGINES = "SELECT engine_id, reachable, detail, quarantined_at, quarantine_reason FROM engines"

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
    settings = {
        "HOST_PORT_RANGE": "24200-24219",
        "RECONCILE_INTERVAL_SECONDS": "1",
        # Tags bear user and image: another installation of the same user would share them.
        "DEV_USER_ID": f"other-{uuid4().hex[:8]}",
    }
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
    (known_id,) = (row["engine_id"] for row in service.rows("SELECT engine_id FROM engines"))

    with Engine() as empty:
        if restarted:
            service.worker.stop()
        _lead(address, empty)
        if restarted:
            service.worker.start(ready=False)
        _wait_for_quarantine(service)
        engines = {row["engine_id"]: row for row in service.rows(_ENGINES)}
        shown = {row["engine_id"]: row for row in service.http.get("/readyz").json()["engines"]}
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

    assert wish["status"] == "stopping"
    assert [event["event"] for event in told] == ["container.created", "container.started"]
    known = engines.pop(known_id)
    ((other_id, other),) = engines.items()
    reason = f"at this address engine {known_id} held 1 container(s)"
    assert (other["reachable"], other["quarantine_reason"]) == (True, reason)
    assert shown[other_id]["quarantine"] == reason
    assert known["quarantined_at"] is None
    if not restarted:
        # With its worker gone nobody tells of it any more, which shows after a while.
        assert (known["reachable"], known["detail"]) == (
            False,
            "another engine answers at DOCKER_HOST",
        )


def _lead(address: Path, engine: Engine) -> None:
    address.unlink(missing_ok=True)
    address.symlink_to(engine.host.removeprefix("unix://"))


def _wait_for_quarantine(service: RunningService) -> None:
    """Return once it is recorded, and the worker says so in both its ways."""
    service.wait_for("SELECT 1 FROM engines WHERE quarantined_at IS NOT NULL")
    wait_until(lambda: "in quarantine: at this address" in _said(service, "/readyz"), "not ready")
    wait_until(lambda: "worker_engine_quarantined 1.0" in _said(service, "/metrics"), "its gauge")


def _said(service: RunningService, path: str) -> str:
    return httpx.get(f"{service.worker.url}{path}", timeout=30).text
