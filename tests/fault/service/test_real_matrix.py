"""The kill matrix on a real engine with real processes: `make fault-long`.

Every place that the operation passes, in api or worker. Leases and backoff pass in real time, so a
kill takes the better part of a minute: several installations are at it side by side.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.fault.conftest import Note
from tests.fault.lengths import LONG
from tests.fault.service.ground import Ground
from tests.fault.service.matrix import Matrix
from tests.fault.service.operations import OPERATIONS, in_turn
from tests.fault.service.real_service import RealService

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not LONG, reason="make fault-long; one kill an operation is tried above"),
    pytest.mark.timeout(3 * 3600),
]

BOUND_SECONDS = 60.0
_LANES = 4
_FIRST_PORT = 24200
_PORTS = 200

_VERBS = {"stop": "POST", "start": "POST", "delete": "DELETE"}


@dataclass(frozen=True, slots=True)
class Kill:
    """One place to die at; `index` is its position among all that the operation passes."""

    place: str
    turn: int
    index: int


class Lane:
    """One installation that goes through kills of one operation."""

    def __init__(self, service: RealService, operation: str, context: bytes) -> None:
        self._service = service
        self._operation = operation
        self._context = context
        self._subject = 0
        self._image = 0

    def run(
        self, http: httpx.Client, kills: Sequence[Kill], places: Sequence[str], matrix: Matrix
    ) -> None:
        with self._service.worker():
            self._image = self._built(http)
            self._prepare(http)
        for kill in kills:
            reached = self._die(http, kill)
            with self._service.worker():
                began = time.monotonic()
                self._service.wait_until_agreed()
                seconds = time.monotonic() - began
                self._expect_told(places, kill)
                matrix.note(self._operation, kill.place if reached else "elsewhere", seconds)
                self._prepare(http)

    def _prepare(self, http: httpx.Client) -> None:
        for container in http.get("/api/containers").json():
            http.delete(f"/api/containers/{container['id']}?wait=60").raise_for_status()
        if self._operation in {"stop", "start", "delete", "crash"}:
            created = http.post(f"/api/containers/{self._image}?wait=60").json()
            self._subject = created[0]["id"]
        if self._operation == "start":
            http.post(f"/api/containers/{self._subject}/stop?wait=60").raise_for_status()
        if self._operation == "image-delete":
            self._subject = self._built(http)

    def _die(self, http: httpx.Client, kill: Kill) -> bool:
        armed = f"{kill.place}=kill@{kill.turn}"
        use_case = OPERATIONS[self._operation].use_case
        of_the_api = {"volume.before-extract", "volume.after-extract"}
        of_the_api |= {"volume.before-store", "volume.after-store"}
        if kill.place in of_the_api or kill.place.startswith(f"{use_case}."):
            with (
                self._service.armed_api(armed) as mortal,
                contextlib.suppress(httpx.TransportError),
            ):
                self._request(mortal)
            return True
        self._request(http)
        return self._service.let_a_worker_die_if_it_comes_by(armed)

    def _request(self, http: httpx.Client) -> None:
        operation, subject = self._operation, self._subject
        if operation in {"upload", "build"}:
            self._service.uploaded(http, self._context)
        elif operation == "create":
            http.post(f"/api/containers/{self._image}?wait=0").raise_for_status()
        elif operation == "image-delete":
            http.delete(f"/api/images/{subject}?wait=0").raise_for_status()
        elif operation == "crash":
            (row,) = self._service.rows(f"SELECT docker_id FROM containers WHERE id = {subject}")
            self._service.docker("kill", row["docker_id"])
        else:
            path = f"/api/containers/{subject}" + ("" if operation == "delete" else f"/{operation}")
            http.request(_VERBS[operation], f"{path}?wait=0").raise_for_status()

    def _expect_told(self, places: Sequence[str], kill: Kill) -> None:
        end = OPERATIONS[self._operation].end_of(places, kill.index)
        if self._operation == "image-delete":
            assert tuple(self._service.told(f"image/{self._subject}")) == end.image_told
        elif self._subject:
            assert tuple(self._service.told(f"container/{self._subject}")) == end.container_told

    def _built(self, http: httpx.Client) -> int:
        image_id = self._service.uploaded(http, self._context)
        self._service.wait_until_built(image_id)
        return image_id


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_any_place_of_the_real_thing_everything_agrees_again(
    operation: str,
    ground: Ground,
    new_database: Callable[[], str],
    engine_host: str,
    tmp_path: Path,
    note: Note,
) -> None:
    context = archive(make_busybox_context(tmp_path / "context"))
    places = ground.places(operation)
    kills = [Kill(place, turn, at) for at, (place, turn) in enumerate(in_turn(places))]
    databases = [new_database() for _ in range(_LANES)]
    matrix = Matrix((operation,))

    def lane(number: int) -> None:
        folder = tmp_path / f"lane-{number}"
        folder.mkdir()
        first = _FIRST_PORT + number * _PORTS
        ports = f"{first}-{first + _PORTS - 1}"
        with (
            RealService(folder, databases[number], engine_host, ports) as service,
            service.api() as http,
        ):
            Lane(service, operation, context).run(http, kills[number::_LANES], places, matrix)

    with ThreadPoolExecutor(_LANES) as pool:
        list(pool.map(lane, range(_LANES)))

    for line in matrix.lines():
        note(line)
    assert matrix.slowest() <= BOUND_SECONDS
