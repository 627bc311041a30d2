"""`make up` tells of a part that dies, and runs once in a clone."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.home_folder import HomeFolder
from entrypoints.dev.service_processes import ServiceProcess
from entrypoints.dev.stack import Stack
from entrypoints.dev.up import watch


class Sleeper:
    """A part that does nothing until it is killed."""

    def __init__(self, log: Path) -> None:
        self.process: GuardedProcess | None = GuardedProcess.start(["sleep", "600"], log=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[dict[str, Sleeper]]:
    made = {name: Sleeper(tmp_path / f"{name}.log") for name in ("api", "relay")}
    yield made
    for part in made.values():
        part.stop()


@pytest.fixture
def stack(parts: dict[str, Sleeper], tmp_path: Path) -> Stack:
    api, worker, relay = (ServiceProcess(name, {}, tmp_path) for name in ("api", "worker", "relay"))
    return Stack(api, worker, relay, {}, tmp_path, parts)


def test_a_part_that_dies_is_told_once_and_the_rest_goes_on(
    stack: Stack, parts: dict[str, Sleeper], tmp_path: Path
) -> None:
    relay = parts["relay"].process
    assert relay is not None
    ends = os.pidfd_open(relay.pid)
    os.kill(relay.pid, signal.SIGKILL)
    assert select.select([ends], [], [], 30)[0]
    os.close(ends)
    said: list[str] = []
    looks = iter([False, False, False, True])

    ended = watch(stack, lambda: next(looks), said.append)

    assert said == [f"relay ended with -9, see {tmp_path / 'relay.log'}; the rest goes on"]
    assert ended == {"relay"}


def test_a_part_that_was_stopped_in_order_is_no_news(
    stack: Stack, parts: dict[str, Sleeper]
) -> None:
    parts["api"].stop()
    parts["api"].process = None

    assert stack.ended() == {}


def test_a_second_make_up_is_refused_in_one_line() -> None:
    first = HomeFolder("service", "up")
    first.take()
    try:
        second = subprocess.run(
            [sys.executable, "-m", "entrypoints.dev.up"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        first.release()

    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("make up already runs here: ")
    assert second.stderr.count("\n") == 1
