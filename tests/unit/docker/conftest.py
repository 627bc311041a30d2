"""An engine whose client is a shell script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import CallLimits
from tests.unit.docker.shims import PATIENCE, Shim


@pytest.fixture
def limit() -> float:
    """What each call may take, in seconds."""
    return PATIENCE


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float) -> Shim:
    """Make an engine whose `docker` is a shell script."""

    def make(script: str) -> DockerContainerEngine:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return DockerContainerEngine(
            docker_host="unix:///nowhere.sock",
            installation_id="test",
            publish_host_ip="127.0.0.1",
            scratch=tmp_path / "scratch",
            limits=CallLimits(*(limit,) * 7),
        )

    return make
