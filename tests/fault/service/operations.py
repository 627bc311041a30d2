"""What users ask of the service, as far as a kill can interrupt it: one table for every suite.

Each operation is prepared by a healthy worker, requested of the api, and carried out by a worker.
The last commit of its use case decides which end is right: before it nothing was asked for, from
then on the wish stands and has to be carried out, whoever dies.
"""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from adapters.failpoints.names import COMMIT, UseCase, after
from application.change_container import ChangeContainer
from application.create_containers import CreateContainers
from application.delete_image import DeleteImage
from application.upload_image import UploadImage
from domain.container_status import Desired
from domain.image_spec import ImageSpec
from domain.limits import InstanceLimits, ResourceLimits
from entrypoints.composition.api import Api
from tests.integration.worker.worker import Worker

USER = "user-1"
# On a Docker in memory: killed, as `docker kill` would end it.
_KILLED_CODE = 137


class Driven(Enum):
    """Which of its work a worker does for the operation."""

    NOTHING = "nothing"
    BUILDS = "builds"
    CONTAINERS = "containers"
    REMOVALS = "removals"


@dataclass(frozen=True, slots=True)
class End:
    """How one image and one container are to end; None for none at all.

    Attributes:
        image_told: what is told of the image, in order, without "image.".
        container_told: the same of its container.
    """

    image: str | None
    image_told: Sequence[str] = ()
    container: str | None = None
    container_told: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table.

    Attributes:
        use_case: whose last commit makes the wish stand; None if it stands beforehand.
        prepare: brings everything to where the operation begins; returns what it is about.
        request: asks the api for it.
        unasked: the end if the wish was not recorded.
        done: the end if it was.
    """

    use_case: UseCase | None
    prepare: Callable[[Worker], int]
    request: Callable[[Api, int], None]
    driven: Driven
    unasked: End
    done: End

    def end_of(self, passed: Sequence[str], place: int) -> End:
        """Return the end that is right for a process that got no further than one of its places.

        Args:
            passed: all places that the operation passes, in order.
            place: the index of the last one.
        """
        if self.use_case is None:
            return self.done
        stands_from = len(passed) - 1 - passed[::-1].index(after(self.use_case, COMMIT))
        return self.done if place >= stands_from else self.unasked


def in_turn(places: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Number the times that each place is passed, as `@N` counts them."""
    turns: Counter[str] = Counter()
    for place in places:
        turns[place] += 1
        yield place, turns[place]


def small_archive() -> bytes:
    """Return a tar with a Dockerfile, for an engine that reads as much of one."""
    text = b'FROM scratch\nCMD ["/bin/busybox", "httpd"]\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


# ---- preparations --------------------------------------------------------------------------


def _nothing(worker: Worker) -> int:
    return 0


def _uploaded(worker: Worker) -> int:
    return worker.installation.upload(USER)


def _ready_image(worker: Worker) -> int:
    return worker.ready_image()


def _running(worker: Worker) -> int:
    return worker.run_container()


def _stopped(worker: Worker) -> int:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    return container_id


def _crashed(worker: Worker) -> int:
    container_id = worker.run_container()
    row = worker.installation.row("containers", container_id)
    worker.docker.end(row["name"], _KILLED_CODE)
    worker.census.nominate([row["uid"]])
    return container_id


# ---- requests ------------------------------------------------------------------------------


def _request_nothing(api: Api, subject: int) -> None:
    pass


def _upload(api: Api, subject: int) -> None:
    spec = ImageSpec(
        user_id=USER,
        name="My App",
        tag="latest",
        app_hostname="app.example.com",
        container_port=8080,
        instances=InstanceLimits(0, 3),
        resources=ResourceLimits(Decimal("0.5"), "64m"),
    )
    store = api.store()
    received = store.incoming()
    received.write_bytes(small_archive())
    api.upload_image().handle(UploadImage(spec, received, "upload"))
    store.discard(received)


def _create(api: Api, subject: int) -> None:
    api.create_containers().handle(CreateContainers(USER, subject, "create"))


def _wish(desired: Desired) -> Callable[[Api, int], None]:
    def request(api: Api, subject: int) -> None:
        api.change_container().handle(ChangeContainer(USER, subject, desired, "wish"))

    return request


def _delete_image(api: Api, subject: int) -> None:
    api.delete_image().handle(DeleteImage(USER, subject, "delete"))


# ---- the table -----------------------------------------------------------------------------

_BUILT = ("build_started", "ready")
_RAN = ("created", "started")
_RUNS = End("ready", _BUILT, "running", _RAN)
_STOPPED = End("ready", _BUILT, "stopped", (*_RAN, "stopped"))

OPERATIONS: Mapping[str, Operation] = {
    "upload": Operation(
        UseCase.UPLOAD, _nothing, _upload, Driven.NOTHING,
        unasked=End(None), done=End("ready", _BUILT),
    ),
    "build": Operation(
        None, _uploaded, _request_nothing, Driven.BUILDS,
        unasked=End("ready", _BUILT), done=End("ready", _BUILT),
    ),
    "create": Operation(
        UseCase.CREATE, _ready_image, _create, Driven.CONTAINERS,
        unasked=End("ready", _BUILT), done=_RUNS,
    ),
    "stop": Operation(
        UseCase.CHANGE, _running, _wish(Desired.STOPPED), Driven.CONTAINERS,
        unasked=_RUNS, done=_STOPPED,
    ),
    "start": Operation(
        UseCase.CHANGE, _stopped, _wish(Desired.RUNNING), Driven.CONTAINERS,
        unasked=_STOPPED,
        done=End("ready", _BUILT, "running", (*_RAN, "stopped", "started")),
    ),
    "delete": Operation(
        UseCase.CHANGE, _running, _wish(Desired.DELETED), Driven.CONTAINERS,
        unasked=_RUNS, done=End("ready", _BUILT, "deleted", (*_RAN, "stopped", "deleted")),
    ),
    "crash": Operation(
        None, _crashed, _request_nothing, Driven.CONTAINERS,
        unasked=_RUNS,
        done=End("ready", _BUILT, "running", (*_RAN, "stopped", "started")),
    ),
    "image-delete": Operation(
        UseCase.DELETE_IMAGE, _ready_image, _delete_image, Driven.REMOVALS,
        unasked=End("ready", _BUILT), done=End("deleted", (*_BUILT, "deleted")),
    ),
}  # fmt: skip
