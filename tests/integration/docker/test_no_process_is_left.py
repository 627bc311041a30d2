"""A build that is over, however it ended, runs nowhere: no client, plugin or step is left."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from application.errors import BuildFailed, BuildInterrupted, EngineError
from tests.conftest import unavailable
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import Subject, real_subject, wait_until

_ROOT = Path(__file__).parents[3]
# A worker in a process of its own that does nothing but one build.
_WORKER = """\
import sys
from pathlib import Path
from adapters.docker.container_engine import DockerContainerEngine
from application.engine_calls import BuildOrder

host, folder, name = sys.argv[1], Path(sys.argv[2]), sys.stdin.readline().strip()
engine = DockerContainerEngine(
    docker_host=host, installation_id="killed", publish_host_ip="127.0.0.1", scratch=folder / "pids"
)
context, log = folder / f"context-{name}", folder / "killed.log"
engine.build(BuildOrder(9, 9, context, log, (f"killed:b{name}",), 60.0))
"""


@pytest.fixture(scope="module")
def real(engine_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    if not engine_host.startswith("unix://"):
        unavailable("the processes of a remote engine cannot be seen")
    with real_subject(engine_host, tmp_path_factory.mktemp("gone")) as subject:
        yield subject


@pytest.fixture
def seconds() -> str:
    """How long the step of this test's build sleeps: by it, its processes are found."""
    return str(10_000_000 + uuid.uuid4().int % 90_000_000)


def test_a_build_that_was_interrupted(real: Subject, seconds: str) -> None:
    order = real.build_order(_context(real.folder, seconds))
    ended: list[EngineError] = []

    def build() -> None:
        try:
            real.engine.build(order)
        except EngineError as error:
            ended.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    wait_until(lambda: _runs_everywhere(seconds))
    real.engine.interrupt_build(order.build_id)
    thread.join()

    assert [type(error) for error in ended] == [BuildInterrupted]
    wait_until(lambda: not _processes(seconds))


def test_a_build_that_took_too_long(real: Subject, seconds: str) -> None:
    order = real.build_order(_context(real.folder, seconds), timeout_seconds=6.0)
    seen = threading.Event()

    def watch() -> None:
        wait_until(lambda: _runs_everywhere(seconds))
        seen.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(BuildFailed):
        real.engine.build(order)
    watcher.join()

    assert seen.is_set()
    wait_until(lambda: not _processes(seconds))


def test_a_build_whose_worker_was_killed(real: Subject, engine_host: str, seconds: str) -> None:
    _context(real.folder, seconds)
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, engine_host, str(real.folder)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdin is not None
        worker.stdin.write(f"{seconds}\n")
        worker.stdin.flush()
        wait_until(lambda: _runs_everywhere(seconds))

        worker.kill()

    wait_until(lambda: not _processes(seconds))


def _context(folder: Path, seconds: str) -> Path:
    return make_busybox_context(
        folder / f"context-{seconds}", run=f"exec /bin/busybox sleep {seconds}"
    )


def _runs_everywhere(seconds: str) -> bool:
    """Whether client, plugin and step are all there."""
    commands = _processes(seconds)
    return (
        any(command.startswith("/bin/busybox sleep") for command in commands)
        and any(command.startswith("docker ") for command in commands)
        and any("docker-buildx " in command for command in commands)
    )


def _processes(mark: str) -> list[str]:
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
