"""What the use cases need of the world beside the database, as Protocols.

An engine has no transactions: its calls are idempotent, bounded in time and classified by
`application.errors`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from application.docker_names import ListedImage
from application.engine_calls import BuildOrder, CallLimits, ContainerOrder
from application.views import (
    BuildLogView,
    ContainerView,
    ImageView,
    ImageWithContainersView,
    Progress,
)
from domain.build import LogTail
from domain.observation import Observation

T = TypeVar("T")


class Clock(Protocol):
    """The time, in UTC."""

    def __call__(self) -> datetime: ...


class Reader(Protocol):
    """The representations that users see; each is the caller's own or NotFound."""

    def images(self, user_id: str) -> Sequence[ImageView]: ...

    def images_with_containers(self, user_id: str) -> Sequence[ImageWithContainersView]: ...

    def image(self, user_id: str, image_id: int) -> ImageView: ...

    def build_log(self, user_id: str, image_id: int) -> BuildLogView: ...

    def containers(self, user_id: str, image_id: int | None = None) -> Sequence[ContainerView]: ...

    def container(self, user_id: str, container_id: int) -> ContainerView: ...

    def containers_by_id(self, container_ids: Sequence[int]) -> Sequence[ContainerView]: ...

    def progress_of_containers(self, ids: Collection[int]) -> Sequence[Progress]: ...

    def progress_of_images(self, ids: Collection[int]) -> Sequence[Progress]: ...

    def progress_of_builds(self, ids: Collection[int]) -> Sequence[Progress]: ...


class ContextExtractor(Protocol):
    """Turns an uploaded archive into a folder."""

    def extract(self, archive: Path, destination: Path) -> None:
        """Extract into `destination`, which must not exist, and make it durable.

        Raises:
            InvalidArchive, InsufficientStorage: with nothing left behind.
        """


class ContextStore(Protocol):
    """The volume with build contexts and build logs, shared by api and workers."""

    def incoming(self) -> Path:
        """Return a new path under `.incoming/` for a file or folder that is not yet stored."""

    def store(self, extracted: Path, user_id: str, image_id: int) -> str:
        """Move an extracted folder to its place by one rename; returns its relative path.

        Raises:
            InsufficientStorage: the disk is full; nothing is left at that place.
        """

    def discard(self, path: Path) -> None:
        """Remove an incoming file or folder if it is there."""

    def path(self, relative: str) -> Path:
        """Return where a stored context or log is."""

    def has_context(self, relative: str) -> bool:
        """Return whether a stored context is at its place.

        Raises:
            OSError: that cannot be told.
        """

    def log_path(self, user_id: str, image_id: int, build_id: int) -> str:
        """Return the relative path of a build's log."""

    def log_tail(self, relative: str) -> LogTail:
        """Return the end of a build log as far as it is written; empty if none can be read."""

    def remove(self, user_id: str, image_id: int) -> None:
        """Remove an image's context and logs; what is gone already is no error."""


class DiskSpace(Protocol):
    """The room on that volume."""

    def shortage(self) -> str | None:
        """Return why nothing that needs room is to be begun, None while there is enough."""


class ContainerEngine(Protocol):
    """One Docker engine. Every call is bounded in time and raises EngineError only."""

    @property
    def limits(self) -> CallLimits:
        """How long each call may take, so that a lease can outlast it."""

    def engine_id(self) -> str:
        """Return the engine's own id, asked afresh: DOCKER_HOST may lead to another one by now."""

    def list_ours(self) -> Sequence[Observation]:
        """Return every container with our installation's label, running or not: all or none.

        Raises:
            EngineError: the list is not complete, so it says nothing of what it lacks.
        """

    def build(self, order: BuildOrder) -> str:
        """Build an image, writing its log live; returns the Docker image id.

        When it returns or raises, no process of the build is left.

        Raises:
            BuildFailed: the Dockerfile or a step of it is at fault.
            BuildTimedOut: the time limit was reached, and so long the engine answered.
            OutcomeUnknown: twice the time limit was reached, and the engine answered for less.
            BuildInterrupted: it was ended by `interrupt_build` or `interrupt_all`.
        """

    def interrupt_build(self, build_id: int) -> None:
        """End a running build; unknown ids are ignored."""

    def interrupt_all(self) -> None:
        """End every running call and refuse new ones: this worker ends."""

    def tag(self, docker_image_id: str, tag: str) -> None: ...

    def remove_tag(self, tag: str) -> None:
        """Remove a tag of an image of ours; gone already, or another's by now, is no error."""

    def list_images(self) -> Sequence[ListedImage]:
        """Return every image with our installation's label, tagged or not: all or none.

        Raises:
            EngineError: the list is not complete.
        """

    def remove_image(self, docker_image_id: str) -> None:
        """Remove an untagged image by its id, never by force; gone already is no error.

        Raises:
            EngineTransient: it has a tag, or a container needs it; it stays.
        """

    def create(self, order: ContainerOrder) -> str:
        """Create a container; returns its Docker id.

        Raises:
            NameConflict, PortConflict, EngineRefused: nothing was created.
        """

    def start(self, docker_id: str) -> None:
        """Start a container; one that runs already is no error.

        Raises:
            PortConflict: the container remains, not running.
            StartWedged: so it does, and it cannot be started any more.
        """

    def stop(self, docker_id: str, grace_seconds: float) -> None:
        """Ask it to end, kill it after the grace; not running or gone already is no error."""

    def remove(self, docker_id: str) -> None:
        """Remove a container, killing it if it runs; gone already is no error."""

    def inspect(self, reference: str, *, dated: bool = False) -> Observation | None:
        """Look at a container by Docker id or name; None means verified absent.

        Args:
            dated: whether to tell when the engine itself started, too, if it can be learnt.
        """

    def log_lines(self, docker_id: str, count: int) -> str:
        """Return the last lines that a container wrote, for a human to read."""
