"""SIGKILL of the real processes over a real engine, once for each operation.

One after another they die, each at the place where its operation has changed the world and nobody
knows; then one worker takes over all that is left.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.fault.conftest import Note
from tests.fault.service.real_service import RealService

pytestmark = pytest.mark.engine

BOUND_SECONDS = 60.0
_PORTS = "24000-24099"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return archive(make_busybox_context(tmp_path_factory.mktemp("context") / "serves"))


def test_a_real_kill_in_each_operation_leaves_nothing_behind(
    new_database: Callable[[], str],
    engine_host: str,
    context: bytes,
    tmp_path: Path,
    note: Note,
) -> None:
    with RealService(tmp_path, new_database(), engine_host, _PORTS) as service:
        _kill_an_upload(service, context)
        left = list((service.volume / ".incoming").iterdir())
        with service.api() as http:
            image_id = service.uploaded(http, context)
            service.let_a_worker_die("engine.after-build=kill")
            with service.worker():
                began = time.monotonic()
                service.wait_until_built(image_id)
                note(f"build at engine.after-build: {time.monotonic() - began:.1f} s")
                spare = service.uploaded(http, context)
                service.wait_until_built(spare)
                stopped, started, deleted = _running(http, image_id, 3)
                http.post(f"/api/containers/{started}/stop").raise_for_status()
            kills = {
                "create": ("engine.after-create", f"/api/containers/{image_id}"),
                "stop": ("engine.after-stop", f"/api/containers/{stopped}/stop"),
                "start": ("engine.after-start", f"/api/containers/{started}/start"),
                "delete": ("engine.after-remove", f"/api/containers/{deleted}"),
                "image-delete": ("engine.after-remove-tag", f"/api/images/{spare}"),
            }
            for operation, (place, path) in kills.items():
                method = "DELETE" if "delete" in operation else "POST"
                http.request(method, f"{path}?wait=0").raise_for_status()
                service.let_a_worker_die(f"{place}=kill")
            with service.worker():
                began = time.monotonic()
                service.wait_until_agreed()
                seconds = time.monotonic() - began

        (created,) = service.rows("SELECT max(id) AS id FROM containers")
        ran = ["created", "started"]
        assert left != []
        assert service.told(f"image/{image_id}") == ["build_started", "ready"]
        assert service.told(f"image/{spare}") == ["build_started", "ready", "deleted"]
        assert service.told(f"container/{created['id']}") == ran
        assert service.told(f"container/{stopped}") == [*ran, "stopped"]
        assert service.told(f"container/{started}") == [*ran, "stopped", "started"]
        assert service.told(f"container/{deleted}") == [*ran, "stopped", "deleted"]
        assert seconds < BOUND_SECONDS
        note(f"{', '.join(kills)}, killed in turn: all of them {seconds:.1f} s")


def _kill_an_upload(service: RealService, context: bytes) -> None:
    """Let the api die with the context in its place and the row not committed."""
    with (
        service.armed_api("upload.before-commit=kill@2") as http,
        contextlib.suppress(httpx.TransportError),
    ):
        service.post_image(http, context)
    assert service.rows("SELECT FROM images") == []


def _running(http: httpx.Client, image_id: int, count: int) -> list[int]:
    created = http.post(f"/api/containers/{image_id}", json={"count": count})
    assert {each["status"] for each in created.json()} == {"running"}, created.text
    return [each["id"] for each in created.json()]
