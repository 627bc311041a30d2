"""What is being changed while an audit looks: of that, engine and record may differ for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from application.audit.records import State
from domain.image_status import ImageStatus

_UNDER_WAY = frozenset({ImageStatus.BUILDING, ImageStatus.DELETING})


@dataclass(frozen=True, slots=True)
class Subject:
    """A container or an image, named as a difference names it."""

    about: str
    which: str

    def status_in(self, state: State) -> str:
        """Return its status, for an operator to read."""
        rows = state.containers if self.about == "container" else state.images
        row = rows.get(int(self.which))
        return "unknown" if row is None else str(row.status)


def in_flight(state: State) -> Iterator[Subject]:
    """Return what a worker changes, or is about to."""
    for container in state.containers.values():
        if container.is_in_flight:
            yield _container(container.id)
    for image in state.images.values():
        if not image.is_deleted and (image.leased or image.status in _UNDER_WAY):
            yield _image(image.id)
    for build in state.builds.values():
        if build.is_in_flight:
            yield _image(build.image_id)


def changed_between(before: State, after: State) -> Iterator[Subject]:
    """Return what is not recorded as it was."""
    for container_id in before.containers.keys() | after.containers.keys():
        if before.containers.get(container_id) != after.containers.get(container_id):
            yield _container(container_id)
    for image_id in before.images.keys() | after.images.keys():
        if before.images.get(image_id) != after.images.get(image_id):
            yield _image(image_id)


def nobody_works(state: State) -> bool:
    """Return whether no worker holds anything: what is in flight then waits for one, or rests."""
    return not (
        any(container.leased for container in state.containers.values())
        or any(image.leased for image in state.images.values())
        or any(build.leased for build in state.builds.values())
    )


def _container(container_id: int) -> Subject:
    return Subject("container", str(container_id))


def _image(image_id: int) -> Subject:
    return Subject("image", str(image_id))
