"""Whatever is asked and whatever dies, in any order: nothing accepted is lost, nothing told twice.

With FAULT_LONG=1 on a private Docker Engine; else the engine is the fake of the contract suite,
whose workers are processes all the same. FAULT_EXAMPLES tells how many histories there are.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from entrypoints.dev.engine_packages import missing_packages
from entrypoints.dev.postgres import Postgres
from entrypoints.dev.private_engine import Engine
from tests.conftest import unavailable
from tests.fault.conftest import Note
from tests.fault.histories import live_through
from tests.fault.lengths import LONG
from tests.fault.lifecycle.apps import Kind, archives
from tests.fault.lifecycle.engines import EngineUnderTest, FakeEngine, real_engine
from tests.fault.lifecycle.kills import Kill, Victim
from tests.fault.lifecycle.lifecycle_machine import Behind, LifecycleMachine
from tests.fault.lifecycle.processes import Processes
from tests.fault.lifecycle.stage import Stage
from tests.fault.lifecycle.wishes import What
from tests.fault.service.remote_docker import DockerServer

_EXAMPLES = int(os.environ.get("FAULT_EXAMPLES") or (40 if LONG else 2))
_STEPS = 25 if LONG else 8
# Of each example; one that failed is tried once more.
_EXAMPLE_SECONDS = 150

pytestmark = [
    pytest.mark.timeout(300 + _EXAMPLE_SECONDS * _EXAMPLES),
    *([pytest.mark.engine] if LONG else []),
]

_PORTS = "26500-26799"

NewEngine = Callable[[str, Path], AbstractContextManager[EngineUnderTest]]


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server that the machine may restart and crash."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def new_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewEngine]:
    """Makes what an example has of an engine that may be killed."""
    if not LONG:
        with DockerServer(tmp_path_factory.mktemp("engine") / "docker.sock") as server:
            yield lambda name, _: contextlib.nullcontext(FakeEngine(server, name))
        return
    if os.geteuid() != 0 or missing_packages(daemon=True):
        unavailable("a private engine needs root and Docker's packages")
    with Engine() as engine:
        yield lambda name, folder: real_engine(engine, name, folder)


@pytest.fixture(scope="module")
def stage(
    own_postgres: Postgres, new_engine: NewEngine, tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    @contextlib.contextmanager
    def new_processes() -> Iterator[Processes]:
        name, folder = f"lifecycle-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("example")
        with (
            new_engine(name, folder) as engine,
            Processes(folder, own_postgres, engine, name, _PORTS) as processes,
        ):
            yield processes

    return Stage(new_processes, archives(tmp_path_factory.mktemp("contexts")))


def test_one_kill_of_each_kind_amid_a_request_each(stage: Stage, note: Note) -> None:
    before = stage.kills.copy()

    with _machine(stage) as machine:
        machine.open(minimum=1, policy="on-failure")
        machine.upload(Kind.SLOW, 0, 2, "never", Kill(Victim.API))
        machine.create(pick=2, count=2, wait=0.0, amid=Kill(Victim.WORKER))
        machine.workers_come_and_go()
        machine.change_a_container(
            pick=1, what=What.STOP, wait=2.0, amid=Kill(Victim.POSTGRES_CRASH)
        )
        machine.kill(Kill(Victim.WORKER), back=False)
        machine.behind(pick=2, how=Behind.KILL)
        machine.workers_come_and_go()
        machine.change_an_image(2, What.REBUILD, {}, 0.0, Kill(Victim.POSTGRES))
        machine.behind(pick=1, how=Behind.REMOVE)
        machine.create(pick=1, count=1, wait=2.0, amid=Kill(Victim.ENGINE))
        machine.change_a_container(pick=3, what=What.DELETE, wait=0.3)

    kills = stage.kills - before
    assert {victim.value for victim in Victim} <= kills.keys(), kills
    for line in stage.lines():
        note(line)


def test_whatever_is_asked_and_whatever_dies_nothing_is_lost(
    stage: Stage, run_seed: int, note: Note
) -> None:
    examples = stage.examples

    live_through(lambda: LifecycleMachine(stage), run_seed, examples=_EXAMPLES, steps=_STEPS)

    assert stage.examples > examples
    for line in stage.lines():
        note(line)


@contextlib.contextmanager
def _machine(stage: Stage) -> Iterator[LifecycleMachine]:
    """Yield a machine that is driven by hand, and end it as Hypothesis would."""
    machine = LifecycleMachine(stage)
    try:
        yield machine
    finally:
        machine.teardown()
