"""SIGKILL of the real processes over a real engine, once for each operation.

Each dies at the place where its operation has changed the world and nobody knows, and another one
recovers it before the next one begins. The long run has every place (`test_real_matrix`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fault.conftest import Note
from tests.fault.service.ground import Ground
from tests.fault.service.lane import Lane
from tests.fault.service.operations import OPERATIONS
from tests.fault.service.real_service import RealService
from tests.fault.service.stage import Stage
from tests.fault.service.turns import turns_of

pytestmark = [
    pytest.mark.engine,
    # Ten processes and more at a time: on a machine that is busy with other things, too.
    pytest.mark.timeout(600),
]

BOUND_SECONDS = 60.0

# Side by side, by what they begin with: nothing, containers of one image, an image of their own.
KILLS: Sequence[Mapping[str, str]] = (
    {
        "upload": "upload.before-commit",
        "build": "engine.after-build",
        "cancel-running": "build.before-commit",
    },
    {
        "create": "engine.after-create",
        "stop": "engine.after-stop",
        "start": "engine.after-start",
        "delete": "engine.after-remove",
    },
    {
        "rebuild": "engine.after-build",
        "image-delete": "engine.after-remove-tag",
    },
)
_PORTS = ("24000-24033", "24034-24066", "24067-24099")


def test_a_real_kill_in_each_operation_leaves_nothing_behind(
    new_database: Callable[[], str],
    engine_host: str,
    ground: Ground,
    tmp_path: Path,
    note: Note,
) -> None:
    failed: list[str] = []
    passed = {name: ground.undisturbed(name).places for kills in KILLS for name in kills}

    def kill(lane: Lane, name: str, place: str) -> None:
        *_, turn = (each for each in turns_of(passed[name], every=True) if each.place == place)
        try:
            recovery = lane.kill(name, turn, passed[name])
        except AssertionError as error:
            failed.append(f"{name} at {place}: {error}")
            return
        note(f"{name} at {place}: {recovery.seconds:.1f} s")
        if not recovery.died:
            failed.append(f"{name}: nobody came by {place}")
        if recovery.seconds > BOUND_SECONDS:
            failed.append(f"{name} at {place}: it took {recovery.seconds:.1f} s")

    def go(number: int, kills: Mapping[str, str]) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        service = RealService(folder, databases[number], engine_host, _PORTS[number])
        with service, service.api() as http:
            lane = Lane(Stage(service, http))
            for name, place in kills.items():
                kill(lane, name, place)

    databases = [new_database() for _ in KILLS]
    with ThreadPoolExecutor(len(KILLS)) as pool:
        list(pool.map(go, range(len(KILLS)), KILLS))

    assert not failed, "\n".join(failed)


def test_each_operation_of_a_user_is_killed_once() -> None:
    asked_for = {name for name, each in OPERATIONS.items() if not each.composed}
    killed = {name for kills in KILLS for name in kills}

    # A cancelled build is one that runs; the other two are for the fake and the long run.
    assert killed == asked_for - {"cancel", "patch", "crash"}
