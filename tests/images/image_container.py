"""A container of one of our images, run as compose.yaml runs it, but on the host's network."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from tests.compose_file import hardening, stack

# Whatever bears it was made here, and is removed here.
LABEL = "orchestrator.test-images"
# Of a service's environment: what bounds it, wherever it runs.
_LIMITING = ("GOMAXPROCS",)
# As in the images, but sooner.
_HEALTH = ("--health-interval", "1s", "--health-start-period", "1s", "--health-retries", "2")
_PATIENCE_SECONDS = 90.0


def docker(host: str, *arguments: str, timeout: float = 600.0) -> str:
    """Ask an engine; fails with what the client wrote to standard error."""
    done = subprocess.run(
        ["docker", "--host", host, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments[:3])}: {done.stderr[-2000:]}"
    return done.stdout


class ImageContainer:
    """A container that was made, and perhaps runs.

    Args:
        host: DOCKER_HOST of the engine that runs it.
        image: the image's name, `orchestrator-SERVICE:…`.
        settings: its environment.
        mounts: `--volume` arguments.
        command: instead of the image's own.
        service: as which one of compose.yaml it is confined; else the one that the image is for.
    """

    def __init__(
        self,
        host: str,
        image: str,
        settings: Mapping[str, str],
        *,
        mounts: tuple[str, ...] = (),
        command: tuple[str, ...] = (),
        service: str | None = None,
    ) -> None:
        self._host = host
        kind = image.partition(":")[0]
        self.name = f"{kind}-{uuid4().hex[:6]}"
        confined_as = service or kind.removeprefix("orchestrator-")
        limits = {
            name: value
            for name, value in stack()["services"][confined_as]["environment"].items()
            if name in _LIMITING
        }
        environment = [f"--env={name}={value}" for name, value in {**limits, **settings}.items()]
        volumes = [f"--volume={mount}" for mount in mounts]
        docker(
            host, "create", "--name", self.name, "--label", LABEL, "--network", "host",
            *hardening(confined_as), *_HEALTH, *environment, *volumes, image, *command,
        )  # fmt: skip

    def start(self) -> None:
        docker(self._host, "start", self.name)

    def stop(self) -> float:
        """End it by SIGTERM; return how many seconds it took, by the engine's clock."""
        began = f"{time.time():.6f}"
        docker(self._host, "stop", "--time", "10", self.name)
        told = docker(
            *(self._host, "events", "--since", began, "--until", f"{time.time():.6f}"),
            *("--filter", "event=kill", "--filter", "event=die"),
            *("--filter", f"container={self.name}"),
            *("--format", "{{.TimeNano}}"),
        )
        times = [int(line) for line in told.split()]
        return (times[-1] - times[0]) / 1e9

    def kill(self) -> None:
        """End all of its processes by SIGKILL."""
        docker(self._host, "kill", "--signal", "KILL", self.name)

    def run(self, *command: str) -> str:
        """Run a command in it, and return what that wrote."""
        return docker(self._host, "exec", self.name, *command)

    def remove(self) -> None:
        docker(self._host, "rm", "--force", "--volumes", self.name)

    @property
    def state(self) -> Any:
        """What `docker inspect` shows as `State`."""
        return json.loads(docker(self._host, "inspect", "--format", "{{json .State}}", self.name))

    @property
    def health(self) -> tuple[str, str]:
        """The health that Docker shows, and the output of the last check in one line."""
        health = self.state["Health"]
        last = health["Log"][-1]["Output"] if health["Log"] else ""
        return health["Status"], last.strip()

    @property
    def output(self) -> str:
        """Both streams of its whole life."""
        done = subprocess.run(
            ["docker", "--host", self._host, "logs", self.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def wait_for_end(self) -> int:
        """Return its exit code once it has ended."""
        return int(docker(self._host, "wait", self.name, timeout=_PATIENCE_SECONDS))

    def wait_until_healthy(self) -> None:
        self.wait_until(lambda: self.health[0] == "healthy")

    def wait_until_unhealthy(self, text: str) -> str:
        """Wait until Docker calls it unhealthy, and tells this; return all that it tells."""
        self.wait_until(lambda: self.health[0] == "unhealthy" and text in self.health[1])
        return self.health[1]

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Ask Docker, which takes a while in itself, until it is so; fail with what is shown."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            state = self.state
            if not state["Running"] or time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: {state}\n{self.output[-3000:]}")


@contextlib.contextmanager
def running(container: ImageContainer, *, healthy: bool = True) -> Iterator[ImageContainer]:
    """Start it, wait until it is healthy, and remove it in the end."""
    try:
        container.start()
        if healthy:
            container.wait_until_healthy()
        yield container
    finally:
        container.remove()


def remove_leftovers(host: str) -> None:
    """Remove what a killed run left on an engine that is kept."""
    found = docker(host, "ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
    if found:
        docker(host, "rm", "--force", "--volumes", *found)
    volumes = docker(host, "volume", "ls", "--quiet", "--filter", f"label={LABEL}").split()
    if volumes:
        docker(host, "volume", "rm", *volumes)


def image_config(host: str, image: str) -> Any:
    """What the image says of how it is to be run."""
    return json.loads(docker(host, "image", "inspect", "--format", "{{json .Config}}", image))
