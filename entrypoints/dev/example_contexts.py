"""The example that the demo uploads: an ordinary one, or one that needs no image registry."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from entrypoints.dev.scratch_image import write_scratch_context

EXAMPLES = Path(__file__).parent / "examples"
_BASE_IMAGE = "python:3.13-slim"
_REGISTRY_SECONDS = 15


def example_archive(docker_host: str, folder: Path, say: Callable[[str], None]) -> bytes:
    """Return a tar.gz of the example that can be built here.

    Args:
        docker_host: the engine that would have to pull its base image.
        folder: where a context may be made.
        say: is told in one line which one it is.
    """
    if _registry_answers(docker_host):
        say(f"example: hello-python, on {_BASE_IMAGE}")
        return archive(EXAMPLES / "hello-python")
    say("example: a page served by a static busybox, FROM scratch (no image registry answers)")
    return archive(write_scratch_context(folder / "hello-scratch", page="hello from a container\n"))


def archive(context: Path) -> bytes:
    """Pack a context as `tar czf - .` would."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(context, arcname=".")
    return buffer.getvalue()


def _registry_answers(docker_host: str) -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        looked = subprocess.run(  # noqa: S603 - the docker client
            [docker, "--host", docker_host, "buildx", "imagetools", "inspect", _BASE_IMAGE],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_REGISTRY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return looked.returncode == 0
