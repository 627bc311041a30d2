"""The kill matrix on a real engine with real processes: `make fault-long`.

Every place that the operation passes, in api or worker: at each of its turns, or once if the
operation is composed. Every turn of those, too, would be half as many kills again and last an hour;
the long run on an engine in memory has them. Leases and backoff pass in real time, so several
installations are at it side by side, and go from operation to operation.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import httpx
import pytest

from entrypoints.dev.guarded_process import ServerStartError
from tests.fault.conftest import Note
from tests.fault.lengths import LONG
from tests.fault.service.ground import Ground
from tests.fault.service.lane import Lane
from tests.fault.service.matrix import Matrix
from tests.fault.service.operations import OPERATIONS
from tests.fault.service.real_service import RealService
from tests.fault.service.stage import Stage
from tests.fault.service.turns import Turn

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not LONG, reason="make fault-long; one kill an operation is tried above"),
    pytest.mark.timeout(3600),
]

BOUND_SECONDS = 60.0
_LANES = 4
_FIRST_PORT = 24200
_PORTS = 200
# What is in nobody's power to make a real worker pass, each with its reason: (operation, place).
UNREACHED: Mapping[tuple[str, str], str] = {}
# Printed with what it waited for: none should take as long.
_SLOW_SECONDS = 30.0
_FAILURES = (AssertionError, httpx.HTTPError, ServerStartError, subprocess.SubprocessError)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return Matrix(tuple(OPERATIONS))


@pytest.fixture(scope="module")
def lanes(
    new_database: Callable[[], str],
    engine_host: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sequence[Lane]]:
    """Installations with an api each, on one engine."""
    with contextlib.ExitStack() as parts:
        lanes = []
        for number in range(_LANES):
            first = _FIRST_PORT + number * _PORTS
            ports = f"{first}-{first + _PORTS - 1}"
            folder = tmp_path_factory.mktemp(f"lane-{number}")
            service = RealService(folder, new_database(), engine_host, ports)
            http = parts.enter_context(parts.enter_context(service).api())
            lanes.append(Lane(Stage(service, http)))
        yield lanes


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_place_of_the_real_thing_everything_agrees_again(
    name: str, ground: Ground, lanes: Sequence[Lane], matrix: Matrix, note: Note
) -> None:
    places = ground.undisturbed(name).places
    failed: list[str] = []
    turns: SimpleQueue[Turn] = SimpleQueue()
    for turn in ground.turns(name, every=False):
        turns.put(turn)

    def kill(lane: Lane, turn: Turn) -> None:
        try:
            recovery = lane.kill(name, turn, places)
        except _FAILURES as error:
            failed.append(f"{turn}: {error}")
            return
        if recovery.seconds > _SLOW_SECONDS:
            note(f"{turn}: {recovery.seconds:.1f} s, at last for {recovery.waited_for}")
        if recovery.died:
            matrix.note(name, turn.place, recovery.seconds, recovery.left)
            return
        matrix.note_unreached(name, turn.place)
        if (name, turn.place) not in UNREACHED:
            failed.append(f"{turn}: nobody came by it")

    def go(lane: Lane) -> None:
        with contextlib.suppress(Empty):
            while True:
                kill(lane, turns.get_nowait())

    with ThreadPoolExecutor(_LANES) as pool:
        list(pool.map(go, lanes))

    assert not failed, "\n".join(failed)


def test_every_recovery_of_the_real_thing_is_in_time(matrix: Matrix, note: Note) -> None:
    note(matrix.text())

    assert matrix.kills() > 0
    assert matrix.slowest() <= BOUND_SECONDS
