"""Asks the api: each request on a connection of its own, for the process may be another by then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.fault.lifecycle.apps import Kind
from tests.fault.lifecycle.processes import Processes
from tests.fault.lifecycle.sight import Sight
from tests.fault.lifecycle.wishes import Image, Request, Row, What

# For that long after a restart of PostgreSQL the api may have no connection yet: its pool tries
# again with growing pauses.
TROUBLE_SECONDS = 15.0
_LOST = "503 database-unavailable"
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        name: the status, of a refusal its problem too: "409 container-refuses".
    """

    name: str
    body: Any

    @property
    def rows(self) -> list[Row]:
        """What came into being, one or several."""
        return self.body if isinstance(self.body, list) else [self.body]


class Caller:
    """The one user of an installation."""

    def __init__(self, processes: Processes, archives: Mapping[Kind, bytes]) -> None:
        self._processes = processes
        self._archives = archives

    def send(self, request: Request) -> Answer | None:
        """Return the answer; None if it was lost, and nobody knows what became of the wish."""
        method, path, arguments = self._asked(request)
        try:
            answer = _answer(self._http(method, path, **arguments))
        except httpx.TransportError:
            return None
        lost = answer.name == _LOST
        assert not lost or self._in_trouble, f"{answer} long after PostgreSQL came back"
        return None if lost else answer

    def look(self) -> Sight:
        """Return what the api shows of everything."""
        images = self._list("/api/images/with-containers")
        containers = self._list("/api/containers")
        return Sight({row["id"]: row for row in images}, {row["id"]: row for row in containers})

    def get(self, path: str) -> Answer:
        return _answer(self._http("GET", path))

    # ---- detail ----------------------------------------------------------------------------

    @property
    def _in_trouble(self) -> bool:
        return time.monotonic() - self._processes.database_ended_at < TROUBLE_SECONDS

    def _list(self, path: str) -> list[Row]:
        while True:
            answer = self.get(path)
            if answer.name == "200":
                return answer.rows
            assert answer.name == _LOST, answer
            assert self._in_trouble, f"{answer} long after PostgreSQL came back"
            time.sleep(_AGAIN_SECONDS)

    def _http(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return httpx.request(method, self._processes.api.url + path, timeout=120.0, **arguments)

    def _asked(self, request: Request) -> tuple[str, str, dict[str, Any]]:
        if request.what is What.UPLOAD:
            return "POST", "/api/images", self._form(request.image)
        method, path = _PLACES[request.what]
        ids = {"image": request.image.id, "container": getattr(request.container, "id", None)}
        fields = dict(request.fields)
        if request.what in {What.PATCH, What.CREATE}:
            return method, f"{path.format(**ids)}?wait={request.wait:g}", {"json": fields}
        query = {name: str(value).lower() for name, value in fields.items()}
        return method, path.format(**ids), {"params": {"wait": f"{request.wait:g}", **query}}

    def _form(self, image: Image) -> dict[str, Any]:
        # A hostname of its own: nobody's is taken.
        form = {"name": image.name, "app_hostname": f"{image.name}.example"}
        form |= {name: str(value) for name, value in image.limits.items()}
        return {"data": form, "files": {"file": ("context.tar.gz", self._archives[image.kind])}}


_PLACES = {
    What.PATCH: ("PATCH", "/api/images/{image}"),
    What.REBUILD: ("POST", "/api/images/{image}/rebuild"),
    What.CANCEL: ("POST", "/api/images/{image}/cancel"),
    What.DELETE_IMAGE: ("DELETE", "/api/images/{image}"),
    What.CREATE: ("POST", "/api/containers/{image}"),
    What.START: ("POST", "/api/containers/{container}/start"),
    What.STOP: ("POST", "/api/containers/{container}/stop"),
    What.DELETE: ("DELETE", "/api/containers/{container}"),
}


def _answer(response: httpx.Response) -> Answer:
    body: Any = response.json() if response.content else None
    name = str(response.status_code)
    if response.is_error:
        name = f"{name} {body['type'].rpartition(':')[2]}"
    return Answer(name, body)
