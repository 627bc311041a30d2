"""The processes of a build, found by the number of seconds for which its step sleeps."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.contracts.busybox_contexts import make_busybox_context


def new_seconds() -> str:
    """Return how long the step of a test's build sleeps: by it, its processes are found."""
    return str(10_000_000 + uuid.uuid4().int % 90_000_000)


def sleeping_context(folder: Path, seconds: str) -> Path:
    """Fill `folder` with a context whose build sleeps in its step."""
    return make_busybox_context(folder, run=f"exec /bin/busybox sleep {seconds}")


def run_everywhere(seconds: str) -> bool:
    """Whether client, plugin and step are all there."""
    commands = processes_naming(seconds)
    return (
        any(command.startswith("/bin/busybox sleep") for command in commands)
        and any(command.startswith("docker ") for command in commands)
        and any("docker-buildx " in command for command in commands)
    )


def processes_naming(mark: str) -> list[str]:
    """Return the command lines of all processes of the machine that name the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in command:
            found.append(command)
    return found
