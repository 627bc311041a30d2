"""Worker processes on a database behind a proxy, and on an engine that is a shell script."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.dev.ports import free_ports
from tests.integration.worker_process.freezing_proxy import FreezingProxy

# Enough of a client for a worker that finds nothing to do.
_CLIENT = """#!/bin/sh
case "$*" in
    *version*) echo 26.1.5 ;;
    *info*) echo 5f0c5a2e-1111-2222-3333-444455556666 ;;
    *) exit 1 ;;
esac
"""

WorkerSettings = Callable[[str], dict[str, str]]


@pytest.fixture
def proxy(database: str) -> Iterator[FreezingProxy]:
    with FreezingProxy(database) as proxy:
        yield proxy


@pytest.fixture
def worker_settings(tmp_path: Path) -> WorkerSettings:
    """Make the environment of a worker on a database."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(_CLIENT)
    (folder / "docker").chmod(0o755)
    (tmp_path / "tmp").mkdir()

    def settings(database_url: str) -> dict[str, str]:
        return {
            "DATABASE_URL": database_url,
            "BUILD_CONTEXT_BASE_DIR": str(tmp_path / "volume"),
            "BIND_HOST": "127.0.0.1",
            "WORKER_PORT": str(free_ports(1)[0]),
            "PORT": str(free_ports(1)[0]),
            "AUTH_MODE": "none",
            "DEV_USER_ID": "1",
            "DOCKER_HOST": "unix:///nowhere/docker.sock",
            "PATH": f"{folder}:{os.environ['PATH']}",
            "TMPDIR": str(tmp_path / "tmp"),
        }

    return settings
