"""A Docker Engine in memory: what several `FakeContainerEngine`s, as several workers, act on.

It knows what the port promises and no more: images are programs of a known behaviour, a run takes
no time, and whatever happens to a container behind the service's back is a method here.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from application.docker_names import ListedImage
from application.engine_calls import ContainerOrder
from application.errors import EngineRefused, EngineTransient, NameConflict, PortConflict
from domain.observation import Observation

_SIGTERM_CODE = 143
_SIGKILL_CODE = 137


@dataclass(frozen=True, slots=True)
class App:
    """How the program of an image behaves.

    Attributes:
        listens: its port answers while it runs.
        exits_with: it ends at once, with this code.
        oom_killed: it ends at once because its memory ran out.
        ignores_sigterm: only a kill ends it.
        start_refused: what Docker answers when it is started.
        output: what it writes.
    """

    listens: bool = True
    exits_with: int | None = None
    oom_killed: bool = False
    ignores_sigterm: bool = False
    start_refused: str | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """What a build writes into the image it makes."""

    installation_id: str
    image_id: int
    build_id: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on an engine at one moment; two are equal if nothing has changed."""

    engine_id: str
    containers: Mapping[str, Observation]
    tags: Mapping[str, str]


@dataclass(slots=True)
class _Container:
    order: ContainerOrder
    app: App
    seen: Observation
    published: bool = True


class FakeDocker:
    """One engine; every method is atomic.

    Attributes:
        reachable: while False, no call gets an answer.
        app_of_builds: what builds make; None has their Dockerfiles read.
        started_at: when it started last.
    """

    def __init__(self) -> None:
        self.reachable = True
        self.app_of_builds: App | None = None
        self._lock = threading.RLock()
        self._moment = datetime(2030, 1, 1, tzinfo=UTC)
        self.started_at = self._now()
        self.another_engine()

    # ---- what a test does to it ------------------------------------------------------------

    def another_engine(self) -> None:
        """From now on an empty engine with another id answers."""
        with self._lock:
            self._engine_id = str(uuid.uuid4())
            self._images: dict[str, App] = {}
            self._tags: dict[str, str] = {}
            self._labels: dict[str, ImageLabels] = {}
            self._touched: dict[str, datetime] = {}
            self._containers: dict[str, _Container] = {}
            self._foreign_ports: set[int] = set()

    def add_image(self, app: App, *tags: str, labels: ImageLabels | None = None) -> str:
        """Put an image there, as a build does; returns its Docker image id."""
        image_id = f"sha256:{uuid.uuid4().hex * 2}"
        with self._lock:
            self._images[image_id] = app
            self._tags.update(dict.fromkeys(tags, image_id))
            self._touched[image_id] = self._now()
            if labels is not None:
                self._labels[image_id] = labels
        return image_id

    def age(self, moment: datetime) -> None:
        """Let every image have been made, and tagged last, at a moment."""
        with self._lock:
            self._touched = dict.fromkeys(self._touched, moment)

    def occupy_port(self, port: int) -> None:
        """Let somebody else listen on a host port."""
        with self._lock:
            self._foreign_ports.add(port)

    def free_port(self, port: int) -> None:
        with self._lock:
            self._foreign_ports.discard(port)

    def end(self, reference: str, exit_code: int, *, oom_killed: bool = False) -> None:
        """Let a running container end by itself."""
        with self._lock:
            self._end(self._existing(reference), exit_code, oom_killed=oom_killed)

    def end_if_running(self, reference: str, exit_code: int) -> bool:
        """Let a container end by itself if it runs; returns whether it did."""
        with self._lock:
            found = self.find(reference)
            if found is None or not found.running:
                return False
            self.end(found.docker_id, exit_code)
            return True

    def restart(self, reference: str) -> None:
        """Let somebody else stop and start a container: a new run of the same container."""
        with self._lock:
            docker_id = self._existing(reference).seen.docker_id
            self.stop(docker_id)
            self.start(docker_id)

    def reboot(self, exit_code: int = 137) -> None:
        """End the engine with all that runs on it, and start it again."""
        with self._lock:
            for container in self._containers.values():
                if container.seen.running:
                    self._end(container, exit_code)
            self.started_at = self._now()

    def run_unpublished(self, reference: str) -> None:
        """Let a container run as after a kill of the engine within its start.

        The engine that came after has been told by containerd that it runs, and not since when.
        """
        with self._lock:
            container = self._existing(reference)
            container.published = False
            container.seen = replace(container.seen, running=True, finished_at=None, exit_code=None)

    def answers(self, port: int) -> bool:
        """Return whether a connection to the host port reaches a program that listens."""
        with self._lock:
            return any(
                container.app.listens
                for container in self._containers.values()
                if container.published
                and container.seen.running
                and container.order.external_port == port
            )

    def becomes(self, reference: str, app: App) -> None:
        """Let the program of a container behave differently from its next start on."""
        with self._lock:
            self._existing(reference).app = app

    def orders(self) -> list[ContainerOrder]:
        """Return what the containers that are there were made from."""
        with self._lock:
            return [container.order for container in self._containers.values()]

    def snapshot(self) -> Snapshot:
        with self._lock:
            containers = {found.seen.name: found.seen for found in self._containers.values()}
            return Snapshot(self._engine_id, containers, dict(self._tags))

    # ---- what the engine port does to it ---------------------------------------------------

    @property
    def engine_id(self) -> str:
        return self._engine_id

    def tag(self, image_id: str, tag: str) -> None:
        with self._lock:
            if image_id not in self._images:
                raise EngineRefused(f"No such image: {image_id}")
            self._tags[tag] = image_id
            self._touched[image_id] = self._now()

    def remove_tag(self, tag: str, installation_id: str | None = None) -> None:
        """Remove a tag, and with its last one the image, unless a container is made from it.

        Args:
            installation_id: whose image it has to be, None for anybody's.
        """
        with self._lock:
            image_id = self._tags.get(tag)
            labels = self._labels.get(image_id or "")
            theirs = labels is None or labels.installation_id != installation_id
            if image_id is None or (installation_id is not None and theirs):
                return
            if list(self._tags.values()).count(image_id) == 1:
                if any(c.order.docker_image_id == image_id for c in self._containers.values()):
                    raise EngineTransient("a container is using its referenced image")
                del self._images[image_id]
            del self._tags[tag]

    def list_images(self, installation_id: str) -> list[ListedImage]:
        with self._lock:
            return [
                ListedImage(
                    docker_image_id=image_id,
                    tags=tuple(tag for tag, tagged in self._tags.items() if tagged == image_id),
                    image_id=labels.image_id,
                    build_id=labels.build_id,
                    touched_at=self._touched[image_id],
                    installation_id=labels.installation_id,
                )
                for image_id, labels in self._labels.items()
                if image_id in self._images and labels.installation_id == installation_id
            ]

    def remove_image(self, image_id: str) -> None:
        with self._lock:
            if image_id in self._tags.values():
                raise EngineTransient("the image has a tag by now")
            if any(c.order.docker_image_id == image_id for c in self._containers.values()):
                raise EngineTransient("a container is using the image")
            self._images.pop(image_id, None)

    def create(self, order: ContainerOrder, installation_id: str) -> str:
        with self._lock:
            if order.docker_image_id not in self._images:
                raise EngineRefused("its image is not on the engine any more")
            if self.find(order.name) is not None:
                raise NameConflict(f"the name {order.name} is already in use by container")
            docker_id = uuid.uuid4().hex * 2
            seen = Observation(
                docker_id=docker_id,
                name=order.name,
                uid=order.uid,
                installation_id=installation_id,
                spec_hash=order.spec_hash,
                running=False,
                started_at=None,
                finished_at=None,
                exit_code=None,
                oom_killed=False,
                container_ip=None,
            )
            app = self._images[order.docker_image_id]
            self._containers[docker_id] = _Container(order, app, seen)
            return docker_id

    def start(self, docker_id: str) -> None:
        with self._lock:
            container = self._containers.get(docker_id)
            if container is None:
                raise EngineTransient("the container was removed before it was started")
            if container.seen.running:
                return
            if container.order.external_port in self._used_ports():
                raise PortConflict("port is already allocated")
            app = container.app
            if app.start_refused is not None:
                raise EngineRefused(app.start_refused)
            container.published = True
            container.seen = replace(
                container.seen,
                running=True,
                started_at=self._now(),
                finished_at=None,
                exit_code=None,
                oom_killed=False,
                container_ip="172.17.0.2",
            )
            if app.oom_killed:
                self._end(container, _SIGKILL_CODE, oom_killed=True)
            elif app.exits_with is not None:
                self._end(container, app.exits_with)

    def stop(self, docker_id: str) -> None:
        with self._lock:
            container = self._containers.get(docker_id)
            if container is not None and container.seen.running:
                code = _SIGKILL_CODE if container.app.ignores_sigterm else _SIGTERM_CODE
                self._end(container, code)

    def remove(self, reference: str) -> None:
        with self._lock:
            found = self.find(reference)
            if found is not None:
                del self._containers[found.docker_id]

    def find(self, reference: str) -> Observation | None:
        with self._lock:
            return next(
                (
                    found.seen
                    for found in self._containers.values()
                    if reference in {found.seen.docker_id, found.seen.name}
                ),
                None,
            )

    def output(self, docker_id: str) -> str:
        with self._lock:
            container = self._containers.get(docker_id)
            ran = container is not None and container.seen.started_at is not None
            return container.app.output if container is not None and ran else ""

    # ---- detail ----------------------------------------------------------------------------

    def _existing(self, reference: str) -> _Container:
        found = self.find(reference)
        if found is None:
            raise AssertionError(f"a test acts on the container {reference}, which is not there")
        return self._containers[found.docker_id]

    def _end(self, container: _Container, exit_code: int, *, oom_killed: bool = False) -> None:
        container.seen = replace(
            container.seen,
            running=False,
            finished_at=self._now(),
            exit_code=exit_code,
            oom_killed=oom_killed,
            container_ip=None,
        )

    def _used_ports(self) -> set[int]:
        running = (found for found in self._containers.values() if found.seen.running)
        return self._foreign_ports | {found.order.external_port for found in running}

    def _now(self) -> datetime:
        """A time that never repeats: no two runs are alike."""
        self._moment += timedelta(milliseconds=1)
        return self._moment
