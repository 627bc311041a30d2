"""What is not as it is to be, against whether a worker is ever going to take it up.

Whoever records a wish, a step or a failure records in the same transaction when it is due, so in
one snapshot this holds whatever is under way. What is forgotten stays as it is for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from application.audit.difference import Difference
from application.audit.records import BuildRecord, ContainerRecord, ImageRecord, State
from domain.build import BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_status import ImageStatus

_S = ContainerStatus
# Where it may stay while this is desired; a status that is missing is on its way to another one.
# What vanished is deleted whatever was desired, and what failed is over.
_AT_REST: Mapping[ContainerStatus, frozenset[Desired]] = {
    _S.RUNNING: frozenset({Desired.RUNNING}),
    _S.EXITED: frozenset({Desired.RUNNING}),
    _S.STOPPED: frozenset({Desired.STOPPED}),
    _S.FAILED: frozenset({Desired.RUNNING, Desired.STOPPED}),
    _S.DELETED: frozenset(Desired),
}


def audit_progress(state: State) -> Iterator[Difference]:
    """Find what nobody is going to carry on."""
    for container in state.containers.values():
        if not container.awaited and not _may_rest(container):
            detail = f"it is {container.status}, desired {container.desired}"
            yield _forgotten("container", container.id, detail)
    for build in state.builds.values():
        if not (build.leased or build.due):
            yield from _audit_build(build, state.images.get(build.image_id))
    building = {build.image_id for build in state.builds.values() if build.is_unfinished}
    for image in state.images.values():
        if image.status is ImageStatus.BUILDING and image.id not in building:
            yield _forgotten("image", image.id, "it is building, and no build is queued or runs")
        if image.status is ImageStatus.DELETING and not (image.leased or image.due):
            yield _forgotten("image", image.id, "it is deleting")


def _may_rest(container: ContainerRecord) -> bool:
    if container.restarts:
        return False
    return container.desired in _AT_REST.get(container.status, frozenset())


def _audit_build(build: BuildRecord, image: ImageRecord | None) -> Iterator[Difference]:
    if build.is_unfinished:
        yield _forgotten("build", build.id, f"it is {build.status}")
    in_use = image is not None and not image.is_deleted and image.active_build_id == build.id
    if in_use and build.status is BuildStatus.SUCCEEDED and not build.public_tag_set:
        yield _forgotten("build", build.id, "its image's public tag is not set to it")


def _forgotten(about: str, which: int, detail: str) -> Difference:
    return Difference("forgotten", about, str(which), f"{detail}, and no worker will take it up")
