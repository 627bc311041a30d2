"""The audit of a service that works, on a real engine: clean, until somebody meddles with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from entrypoints.dev.service_processes import clean_environment
from tests.e2e.running_service import RunningService, running_service

pytestmark = [pytest.mark.engine, pytest.mark.broker]


def test_a_live_service_is_clean_and_what_was_removed_behind_its_back_is_named(
    new_database: Callable[[], str],
    broker: object,
    engine_host: str,
    hello_context: bytes,
    tmp_path: Path,
) -> None:
    bootstrap_servers: str = broker.bootstrap_servers  # type: ignore[attr-defined] # two kinds
    with running_service(tmp_path, new_database(), bootstrap_servers, engine_host) as service:
        image_id = service.upload(hello_context, max_instances="2", memory_limit="64m")
        service.http.post(f"/api/containers/{image_id}?wait=0", json={"count": 2})
        live = _audit(service, "--settle", "60")
        running, stopped = service.http.get(f"/api/images/{image_id}/containers").json()
        service.http.post(f"/api/containers/{stopped['id']}/stop")
        service.worker.stop()
        service.docker("rm", "--force", running["container_id"])
        meddled = _audit(service, "--settle", "1")
        service.worker.start()
        service.wait_for(
            "SELECT 1 FROM containers WHERE id = %s AND status = 'deleted'", running["id"]
        )
        repaired = _audit(service)

    assert (live.returncode, live.stdout.count("kind=")) == (0, 0), live.stdout + live.stderr
    assert meddled.returncode == 1
    assert meddled.stdout.startswith(f"kind=missing container={running['id']} detail=it is running")
    assert meddled.stdout.count("kind=") == 1
    assert repaired.returncode == 0, repaired.stdout


def _audit(service: RunningService, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entrypoints.worker", "audit", *arguments],
        env=clean_environment(service.settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
