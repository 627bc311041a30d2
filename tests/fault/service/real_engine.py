"""A real engine that installations share, as far as one of them is concerned."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from adapters.docker import labels
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
        self._installation_id = installation_id
        self._ours = f"label=orchestrator.installation_id={installation_id}"
        self.port = DockerContainerEngine(
            docker_host=docker_host, installation_id=installation_id, scratch=scratch
        )

    def docker(self, *arguments: str) -> str:
        """Ask the engine itself."""
        return self._run(arguments)

    def import_untagged(self, image_id: int, build_id: int) -> None:
        """Make an image that bears the labels of a build, and no tag."""
        bears = {
            labels.INSTALLATION_ID: self._installation_id,
            labels.IMAGE_ID: image_id,
            labels.BUILD_ID: build_id,
        }
        changes = [f"--change=LABEL {name}={value}" for name, value in bears.items()]
        with io.BytesIO() as empty:
            tarfile.open(fileobj=empty, mode="w").close()
            self._run(["import", *changes, "-"], empty.getvalue())

    def untagged(self) -> list[str]:
        """Return the images of ours that have no tag."""
        ours = ("--filter", self._ours, "--filter", "dangling=true")
        return self.docker("image", "ls", "--all", "--quiet", *ours).split()

    def remove_everything(self) -> None:
        """Remove what a test that failed midway has left."""
        ours = ("--filter", self._ours)
        if containers := self.docker("ps", "--all", "--quiet", *ours).split():
            self.docker("rm", "--force", *containers)
        if images := set(self.docker("images", "--quiet", "--no-trunc", *ours).split()):
            self.docker("image", "rm", "--force", *sorted(images))

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> str:
        command = ["docker", "--host", self._docker_host, *arguments]
        return subprocess.run(command, check=True, capture_output=True, input=given).stdout.decode()
