"""Builds of workers that are killed or paused, on a real engine: one result, no remains."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from entrypoints.dev.ports import free_ports
from entrypoints.dev.service_processes import ServiceProcess
from tests.conftest import unavailable
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import wait_until
from tests.integration.docker.processes import (
    new_seconds,
    processes_naming,
    run_everywhere,
    sleeping_context,
)
from tests.integration.postgres.installation import Installation

# A build on a slow machine, after a lease has run out.
PATIENCE_SECONDS = 120.0


class Scene:
    """An image whose build sleeps for ever, until its context is replaced.

    Args:
        seconds: how long; the path of the context bears it as well.
    """

    def __init__(self, installation: Installation, docker_host: str, seconds: str) -> None:
        self.installation = installation
        self.seconds = seconds
        self.image_id = installation.upload()
        self._docker_host = docker_host
        self._context = installation.store.path(
            installation.row("images", self.image_id)["source_path"]
        )
        sleeping_context(self._context, self.seconds)

    def let_the_next_attempt_succeed(self) -> None:
        make_busybox_context(self._context)

    def begun(self) -> None:
        """Wait until the build runs, and the database knows of it."""
        wait_until(lambda: run_everywhere(self.seconds), PATIENCE_SECONDS)

    def ended(self, status: str) -> None:
        """Wait until the build has ended like this and nothing is left to do for it."""
        wait_until(lambda: self._is_over(status), PATIENCE_SECONDS)

    def gone(self) -> None:
        """Wait until no process of the sleeping build is left."""
        wait_until(lambda: not processes_naming(self.seconds), PATIENCE_SECONDS)

    def told(self) -> list[str]:
        types = self.installation.told(f"image/{self.image_id}")
        return [type_.removeprefix("image.") for type_ in types]

    def tagged(self, tag: str) -> str | None:
        """Return the Docker image that a tag of the image leads to."""
        name = f"nvidia-app-uuser-1-i{self.image_id}:{tag}"
        command = ["docker", "--host", self._docker_host, "image", "inspect", name]
        answer = subprocess.run(
            [*command, "--format", "{{.Id}}"], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() or None

    @property
    def build(self) -> dict[str, object]:
        (row,) = self.installation.rows(f"SELECT * FROM builds WHERE image_id = {self.image_id}")
        return row

    def _is_over(self, status: str) -> bool:
        build = self.build
        return build["status"] == status and build["next_attempt_at"] is None


@pytest.fixture
def scene(module_database: str, engine_host: str, tmp_path: Path) -> Iterator[Scene]:
    if not engine_host.startswith("unix://"):
        unavailable("the processes of a remote engine cannot be seen")
    seconds = new_seconds()
    with Installation(module_database, tmp_path / seconds) as installation:
        yield Scene(installation, engine_host, seconds)


@pytest.fixture
def start_worker(
    scene: Scene, engine_host: str, tmp_path: Path
) -> Iterator[Callable[[], ServiceProcess]]:
    installation_id = f"taken-over-{uuid.uuid4().hex[:12]}"
    with ExitStack() as workers:

        def start() -> ServiceProcess:
            settings = {
                "DATABASE_URL": scene.installation.url,
                "BUILD_CONTEXT_BASE_DIR": str(tmp_path / scene.seconds),
                "WORKER_PORT": str(free_ports(1)[0]),
                "DOCKER_HOST": engine_host,
                "INSTALLATION_ID": installation_id,
                "LEASE_SECONDS": "2",
            }
            worker = ServiceProcess("worker", settings, tmp_path / f"{uuid.uuid4().hex}.log")
            return workers.enter_context(worker)

        yield start
    docker = ["docker", "--host", engine_host]
    ours = ["--filter", f"label=orchestrator.installation_id={installation_id}"]
    listed = subprocess.run(
        [*docker, "images", "--quiet", *ours], capture_output=True, text=True, check=True
    )
    if found := sorted(set(listed.stdout.split())):
        subprocess.run([*docker, "image", "rm", "--force", *found], check=True)


def test_a_build_of_a_killed_worker_is_taken_over_and_its_processes_are_gone(
    scene: Scene, start_worker: Callable[[], ServiceProcess]
) -> None:
    killed = start_worker()
    scene.begun()
    (holder,) = scene.installation.rows("SELECT leased_by FROM builds")

    killed.kill()
    scene.gone()
    scene.let_the_next_attempt_succeed()
    start_worker()
    scene.ended("succeeded")

    build = scene.build
    assert holder["leased_by"] is not None
    assert (build["attempt"], build["lease_until"]) == (2, None)
    assert scene.tagged("latest") == scene.tagged(f"b{build['id']}") == build["docker_image_id"]
    assert scene.told() == ["build_started", "ready"]


def test_a_worker_that_was_paused_while_another_built_ends_its_own_and_records_nothing(
    scene: Scene, start_worker: Callable[[], ServiceProcess]
) -> None:
    paused = start_worker()
    scene.begun()

    os.kill(paused.pid, signal.SIGSTOP)
    try:
        scene.let_the_next_attempt_succeed()
        start_worker()
        scene.ended("succeeded")
        recorded, still_running = scene.build, processes_naming(scene.seconds)
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    scene.gone()

    assert still_running
    assert recorded["attempt"] == 2
    assert scene.build == recorded
    assert scene.tagged("latest") == recorded["docker_image_id"]
    assert scene.told() == ["build_started", "ready"]


def test_a_cancelled_build_ends_with_its_processes_and_its_rebuild_succeeds(
    scene: Scene, start_worker: Callable[[], ServiceProcess]
) -> None:
    start_worker()
    scene.begun()

    scene.installation.cancel(scene.image_id)
    # Nobody notifies on behalf of a test: the worker hears of it when it renews its lease.
    scene.ended("cancelled")
    scene.gone()
    scene.let_the_next_attempt_succeed()
    rebuild_id = scene.installation.rebuild(scene.image_id)
    wait_until(
        lambda: bool(scene.installation.row("builds", rebuild_id)["public_tag_set"]),
        PATIENCE_SECONDS,
    )

    docker_image_id = scene.installation.row("builds", rebuild_id)["docker_image_id"]
    assert scene.tagged("latest") == docker_image_id
    assert scene.told() == ["build_started", "build_cancelled", "build_started", "ready"]
