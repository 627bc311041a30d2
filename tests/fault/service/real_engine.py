"""A real engine that installations share, as far as one of them is concerned."""

from __future__ import annotations

import subprocess
from pathlib import Path

from adapters.docker.container_engine import DockerContainerEngine


class RealEngine:
    """What a test sees of it, and does to it.

    Args:
        scratch: a folder for the port to write to.

    Attributes:
        port: a way of our own to it, as a worker has one.
    """

    def __init__(self, docker_host: str, installation_id: str, scratch: Path) -> None:
        self._docker_host = docker_host
        self._ours = f"label=orchestrator.installation_id={installation_id}"
        self.port = DockerContainerEngine(
            docker_host=docker_host, installation_id=installation_id, scratch=scratch
        )

    def docker(self, *arguments: str) -> str:
        """Ask the engine itself."""
        command = ["docker", "--host", self._docker_host, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def remove_everything(self) -> None:
        """Remove what a test that failed midway has left."""
        ours = ("--filter", self._ours)
        if containers := self.docker("ps", "--all", "--quiet", *ours).split():
            self.docker("rm", "--force", *containers)
        if images := set(self.docker("images", "--quiet", "--no-trunc", *ours).split()):
            self.docker("image", "rm", "--force", *sorted(images))
