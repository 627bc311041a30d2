"""What is done with the service, as far as a kill can interrupt it: one table for every suite.

Each operation is prepared by a healthy worker, requested of the api, and carried out by a worker.
The last commit of its use case decides which end is right: before it nothing was asked for, from
then on the wish stands and has to be carried out, whoever dies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from adapters.failpoints.names import (
    COMMIT,
    VOLUME,
    UseCase,
    VolumeCall,
    after,
    before,
)
from domain.container_status import Desired
from entrypoints.composition.api import Api
from tests.fault.service import preparations, requests
from tests.fault.service.ends import (
    CANCELLED,
    DELETED,
    NOTHING,
    READY,
    REBUILT,
    REMOVED,
    REMOVED_UNBUILT,
    RUNS,
    RUNS_AGAIN,
    STOPPED,
    End,
    Limits,
)
from tests.integration.worker.worker import Worker


class Driven(Enum):
    """Which of its work a worker does for the operation."""

    NOTHING = "nothing"
    BUILDS = "builds"
    RUNNING_BUILD = "a build that runs when the request comes"
    DELETED_BUILD = "the same, and removals of images"
    CONTAINERS = "containers"
    INSTANCES = "containers and min_instances"
    REMOVALS = "containers and removals of images"
    PASSES = "a pass over the engine"
    SWEEPS = "a sweep"
    AUDITS = "an audit"
    REGISTERS = "a look at its engine"
    MISSES = "a look for dead workers"
    LOST = "lost"
    TRUST = "trust"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table.

    Attributes:
        use_case: whose last commit makes the wish stand; None if it stands beforehand.
        prepare: brings everything to where the operation begins; returns what it is about.
        request: asks the api for it.
        done: the end if the wish was recorded.
        unasked: the end if it was not.
        composed: whether it is made of steps that others are let die in at every turn: then each
            place is enough once, unless there is time.
    """

    use_case: UseCase | None
    prepare: Callable[[Worker], int]
    request: Callable[[Api, int], None]
    driven: Driven
    done: End
    unasked: End = NOTHING
    composed: bool = False

    def end_of(self, passed: Sequence[str], place: int) -> End:
        """Return the end that is right if api and worker got no further than one of its places.

        Args:
            passed: all places that the operation passes, in order.
            place: the index of the last one.
        """
        if self.use_case is None:
            return self.done
        stands_from = len(passed) - 1 - passed[::-1].index(after(self.use_case, COMMIT))
        return self.done if place >= stands_from else self.unasked

    def end_without(self, passed: Sequence[str], place: int) -> End:
        """Return the end that is right if only the one that passes a place got no further."""
        return self.end_of(passed, place) if self.is_of_the_api(passed[place]) else self.done

    def is_of_the_api(self, place: str) -> bool:
        """Whether it is the api that passes a place."""
        if self.use_case is None:
            return False
        return place in _FILES_OF_THE_API or place.startswith(f"{self.use_case}.")


_FILES_OF_THE_API = {
    side(VOLUME, call)
    for call in (VolumeCall.EXTRACT, VolumeCall.STORE)
    for side in (before, after)
}


_KEPT = Limits(min_instances=1)

OPERATIONS: Mapping[str, Operation] = {
    "upload": Operation(
        UseCase.UPLOAD, preparations.nothing, requests.upload, Driven.NOTHING,
        done=End(READY),
    ),
    "build": Operation(
        None, preparations.uploaded, requests.nothing, Driven.BUILDS,
        done=End(READY),
    ),
    "rebuild": Operation(
        UseCase.REBUILD, preparations.image_of_a_running_one, requests.rebuild, Driven.BUILDS,
        done=End(REBUILT, (RUNS,)), unasked=End(READY, (RUNS,)),
    ),
    "cancel": Operation(
        UseCase.CANCEL, preparations.uploaded, requests.cancel, Driven.BUILDS,
        done=End(CANCELLED), unasked=End(READY),
    ),
    "cancel-running": Operation(
        UseCase.CANCEL, preparations.uploaded, requests.cancel, Driven.RUNNING_BUILD,
        done=End(CANCELLED), unasked=End(READY),
    ),
    "patch": Operation(
        UseCase.PATCH, preparations.image_of_the_second, requests.patch, Driven.INSTANCES,
        done=End(READY, (DELETED, RUNS), requests.PATCHED), unasked=End(READY, (DELETED, RUNS)),
    ),
    "create": Operation(
        UseCase.CREATE, preparations.ready_image, requests.create, Driven.CONTAINERS,
        done=End(READY, (RUNS,)), unasked=End(READY),
    ),
    "stop": Operation(
        UseCase.CHANGE, preparations.running, requests.wish(Desired.STOPPED), Driven.CONTAINERS,
        done=End(READY, (STOPPED,)), unasked=End(READY, (RUNS,)),
    ),
    "start": Operation(
        UseCase.CHANGE, preparations.stopped, requests.wish(Desired.RUNNING), Driven.CONTAINERS,
        done=End(READY, (RUNS_AGAIN,)), unasked=End(READY, (STOPPED,)),
    ),
    "delete": Operation(
        UseCase.CHANGE, preparations.running, requests.wish(Desired.DELETED), Driven.CONTAINERS,
        done=End(READY, (DELETED,)), unasked=End(READY, (RUNS,)),
    ),
    "crash": Operation(
        None, preparations.crashed, requests.nothing, Driven.CONTAINERS,
        done=End(READY, (RUNS_AGAIN,)),
    ),
    "keep-instances": Operation(
        None, preparations.short_image, requests.nothing, Driven.INSTANCES,
        done=End(READY, (RUNS,), _KEPT),
        composed=True,
    ),
    "replace": Operation(
        UseCase.CHANGE, preparations.kept_instance, requests.wish(Desired.DELETED),
        Driven.INSTANCES,
        done=End(READY, (DELETED, RUNS), _KEPT), unasked=End(READY, (RUNS,), _KEPT),
        composed=True,
    ),
    "image-delete": Operation(
        UseCase.DELETE_IMAGE, preparations.ready_image, requests.delete_image, Driven.REMOVALS,
        done=End(REMOVED), unasked=End(READY),
    ),
    "delete-building": Operation(
        UseCase.DELETE_IMAGE, preparations.uploaded, requests.delete_image, Driven.DELETED_BUILD,
        done=End(REMOVED_UNBUILT), unasked=End(READY),
        composed=True,
    ),
    "force-delete": Operation(
        UseCase.DELETE_IMAGE, preparations.image_of_a_running_one, requests.force_delete,
        Driven.REMOVALS,
        done=End(REMOVED, (DELETED,)), unasked=End(READY, (RUNS,)),
        composed=True,
    ),
    "pass": Operation(
        None, preparations.meddled_with, requests.nothing, Driven.PASSES,
        done=End(READY, (DELETED,)),
        composed=True,
    ),
    "sweep": Operation(
        None, preparations.littered, requests.nothing, Driven.SWEEPS,
        done=End(REBUILT),
        composed=True,
    ),
    "audit": Operation(
        None, preparations.running, requests.nothing, Driven.AUDITS,
        done=End(READY, (RUNS,)),
        composed=True,
    ),
}  # fmt: skip
