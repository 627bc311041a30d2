"""Clients that misbehave: programs of the name `docker` in front of the PATH."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Self

from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import BuildOrder, ContainerOrder

# A client that answers gets so long on a busy machine, one that hangs no longer than LIMIT.
PATIENCE = 20.0
LIMIT = 0.5
DOCKER_ID = "3052b3ed" * 8

# What `docker image inspect` answers of the image that `build_order` makes.
_LABELS = {"installation_id": "test", "image_id": "1", "build_id": "1"}
BUILT = json.dumps(
    [
        {
            "Id": f"sha256:{DOCKER_ID}",
            "Config": {"Labels": {f"orchestrator.{name}": each for name, each in _LABELS.items()}},
        }
    ]
)

Shim = Callable[[str], DockerContainerEngine]


class Mark:
    """A number that processes of one test sleep for, so that they can be told from all others."""

    def __init__(self) -> None:
        self.value = str(10_000_000 + uuid.uuid4().int % 90_000_000)

    def __enter__(self) -> Self:
        os.environ["MARK"] = self.value
        return self

    def __exit__(self, *_: object) -> None:
        del os.environ["MARK"]

    def processes(self) -> list[str]:
        """Return the pids of those that run."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if self.value.encode() in arguments:
                found.append(path.parent.name)
        return found


def build_order(folder: Path, seconds: float = PATIENCE) -> BuildOrder:
    (folder / "context").mkdir(exist_ok=True)
    return BuildOrder(
        build_id=1,
        image_id=1,
        user_id="ada",
        context=folder / "context",
        log=folder / "1.log",
        tags=("web:b1",),
        timeout_seconds=seconds,
    )


def container_order(env: dict[str, str] | None = None) -> ContainerOrder:
    return ContainerOrder(
        uid=uuid.uuid4(),
        image_id=1,
        name="web",
        docker_image_id=f"sha256:{DOCKER_ID}",
        env=env or {},
        internal_port=8080,
        external_port=25_001,
        cpu_limit=Decimal("0.5"),
        memory_bytes=64 * 1024 * 1024,
    )
