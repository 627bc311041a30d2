"""Docker does what it is asked and its answer is lost, or none: one container, told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import wait_until
from tests.fault.service.docker_shim import DockerShim
from tests.fault.service.real_service import RealService

pytestmark = pytest.mark.engine

_PORTS = "24100-24199"
# A call about a tag may take 10 s.
_TOO_LATE = "delay 11"
_PASSES_SECONDS = 60.0


def test_lost_late_and_senseless_answers_of_each_call_are_recovered_from(
    new_database: Callable[[], str], engine_host: str, tmp_path: Path
) -> None:
    context = archive(make_busybox_context(tmp_path / "context"))
    shim = DockerShim(tmp_path / "shim")
    with (
        RealService(tmp_path, new_database(), engine_host, _PORTS) as service,
        service.api() as http,
        service.worker({"PATH": shim.path}),
    ):
        shim.plan("buildx build", "lose", "garbage")
        # The tag is still to come when the first container is asked for.
        shim.plan("image tag", "lose", "500", _TOO_LATE)
        image_id = service.uploaded(http, context)
        service.wait_until_ready(image_id)
        shim.plan("container create", "500", "garbage", "lose")
        shim.plan("container start", "500", "lose", "delay 1")
        shim.plan("container inspect", "garbage")
        # Each of the six failures may cost it a pause, in the worst case 47 s of them together.
        created = http.post(f"/api/containers/{image_id}?wait=120")
        container_id = created.json()[0]["id"]
        in_docker = service.engine.port.list_ours()
        ran = service.told(f"container/{container_id}")
        # One pass after the other: when the third one lists, those before it are over.
        given_up = _passes_given_up(service)
        shim.plan("container ls", "500", "garbage", "delay 0")
        wait_until(lambda: not shim.left("container ls"), _PASSES_SECONDS)
        given_up_then = _passes_given_up(service)
        in_docker_then = service.engine.port.list_ours()
        told_then = service.told(f"container/{container_id}")
        answers = []
        for wish, *actions in (("stop", "500", "lose"), ("start", "lose"), ("stop", "lose")):
            shim.plan(f"container {wish}", *actions)
            answers.append(http.post(f"/api/containers/{container_id}/{wish}?wait=60"))
        shim.plan("container rm", "500", "lose")
        deleted = http.delete(f"/api/containers/{container_id}?wait=60")
        service.wait_until_built(image_id)
        shim.plan("image rm", "500", "lose")
        removed = http.delete(f"/api/images/{image_id}?wait=60")
        service.wait_until_agreed()

    assert (created.status_code, created.json()[0]["status"]) == (201, "running")
    assert len(in_docker) == 1
    assert given_up_then >= given_up + 2
    assert (in_docker_then, told_then) == (in_docker, ran)
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert (deleted.status_code, removed.status_code) == (204, 204)
    assert service.told(f"container/{container_id}") == [
        *("created", "started", "stopped", "started", "stopped", "deleted")
    ]
    assert service.told(f"image/{image_id}") == ["build_started", "ready", "deleted"]
    assert shim.left() == []


def _passes_given_up(service: RealService) -> int:
    """How many passes have ended without noting anything."""
    return (service.folder / "worker.log").read_text().count('"pass given up"')
