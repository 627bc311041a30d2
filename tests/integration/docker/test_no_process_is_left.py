"""A build that is over, however it ended, runs nowhere: no client, plugin, step or file is left."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from application.errors import BuildFailed, BuildInterrupted, EngineError
from tests.conftest import unavailable
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import Subject, real_subject, wait_until
from tests.integration.docker.processes import (
    new_seconds,
    processes_naming,
    run_everywhere,
    sleeping_context,
)

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
engine.build(BuildOrder(9, 9, "ada", context, log, (f"killed:b{name}",), 60.0))
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
    return new_seconds()


def test_builds_leave_no_file_of_their_client(
    real: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, context = tmp_path / "config", make_busybox_context(tmp_path / "context")
    monkeypatch.setenv("DOCKER_CONFIG", str(config))

    after_each = []
    for _ in range(2):
        real.engine.build(real.build_order(context))
        written = [*config.rglob("*"), *(real.folder / "scratch").rglob("*")]
        after_each.append(sorted(path.name for path in written if path.is_file()))

    # What the client writes once is all there ever is.
    assert after_each[0] == after_each[1]


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
    wait_until(lambda: run_everywhere(seconds))
    real.engine.interrupt_build(order.build_id)
    thread.join()

    assert [type(error) for error in ended] == [BuildInterrupted]
    wait_until(lambda: not processes_naming(seconds))


def test_a_build_that_took_too_long(real: Subject, seconds: str) -> None:
    context = _context(real.folder, seconds)
    seen = False

    # On a busy machine a build takes a while to come to its step: then it gets more time.
    for limit in (10.0, 40.0, 160.0):
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(_seen_before, over, seconds)
            with pytest.raises(BuildFailed):
                real.engine.build(real.build_order(context, timeout_seconds=limit))
            over.set()
            seen = looking.result()
        if seen:
            break

    assert seen
    wait_until(lambda: not processes_naming(seconds))


def _seen_before(over: threading.Event, seconds: str) -> bool:
    """Look until client, plugin and step all run, or something is over."""
    while not over.wait(0.02):
        if run_everywhere(seconds):
            return True
    return False


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
        wait_until(lambda: run_everywhere(seconds))

        worker.kill()

    wait_until(lambda: not processes_naming(seconds))


def _context(folder: Path, seconds: str) -> Path:
    return sleeping_context(folder / f"context-{seconds}", seconds)
