"""The engine port over a Docker in memory, held by the contract suite together with the real one.

Time limits pass at once where nothing but time would end a call; whatever else a test wants of a
call, it says beforehand: `fail_next` and `hold_next`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from application.docker_names import ListedImage
from application.engine_calls import BuildOrder, CallLimits, ContainerOrder
from application.errors import (
    BuildFailed,
    BuildInterrupted,
    BuildTimedOut,
    EngineError,
    EngineInterrupted,
    EngineUnreachable,
)
from domain.observation import Observation
from tests.contracts.fake_docker import App, FakeDocker, ImageLabels, Snapshot

# A test that waits longer than this for a held call hangs.
_HELD_SECONDS = 30.0

_USERS_IMAGE = "nvidia-app-u"
_INSTRUCTIONS = frozenset(
    {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL", "RUN", "STOPSIGNAL"}
)


@dataclass(slots=True)
class Held:
    """A call that waits: `reached` is set when it does, `let_go` ends the wait."""

    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Plan:
    """What happens in the next call of a kind: before it acts, or after."""

    after: bool
    error: EngineError | None = None
    held: Held | None = None


@dataclass(slots=True, eq=False)
class _Running:
    """A call in progress; `ended` is set when it is interrupted."""

    key: str
    ended: threading.Event = field(default_factory=threading.Event)


class FakeContainerEngine:
    """One worker's way to a `FakeDocker`.

    Args:
        docker: the engine; several workers may share one.

    Attributes:
        calls: (method, what it was about), in the order in which they were made.
        builds_interrupted: ids of builds that were ended while they ran. One that is over may be
            asked to end all the same, by who has not seen yet that it is.
    """

    def __init__(self, docker: FakeDocker | None = None, installation_id: str = "test") -> None:
        self.docker = docker or FakeDocker()
        self.calls: list[tuple[str, str]] = []
        self.builds_interrupted: set[int] = set()
        self._installation_id = installation_id
        self._lock = threading.Lock()
        self._plans: dict[str, list[_Plan]] = {}
        self._running: list[_Running] = []
        self._closed = False

    # ---- what a test does to it ------------------------------------------------------------

    def fail_next(self, kind: str, error: EngineError, *, after: bool = False) -> None:
        """Let the next call of a method fail: without having acted, or `after` it has."""
        with self._lock:
            self._plans.setdefault(kind, []).append(_Plan(after, error=error))

    def hold_next(self, kind: str, *, after: bool = False) -> Held:
        """Let the next call of a method wait: before it acts, or `after` it has."""
        held = Held()
        with self._lock:
            self._plans.setdefault(kind, []).append(_Plan(after, held=held))
        return held

    def another_engine(self) -> None:
        """From now on an empty engine with another id answers."""
        self.docker.another_engine()

    def snapshot(self) -> Snapshot:
        """Return everything that is on the engine."""
        return self.docker.snapshot()

    # ---- the port --------------------------------------------------------------------------

    @property
    def limits(self) -> CallLimits:
        return CallLimits()

    def engine_id(self) -> str:
        with self._call("engine_id", ""):
            return self.docker.engine_id

    def version(self) -> str:
        with self._call("version", ""):
            return "fake"

    def list_ours(self) -> list[Observation]:
        with self._call("list_ours", ""):
            found = self.docker.snapshot().containers.values()
            return [seen for seen in found if seen.installation_id == self._installation_id]

    def build(self, order: BuildOrder) -> str:
        try:
            with self._call("build", _build_key(order.build_id)) as running:
                app = self.docker.app_of_builds
                order.log.parent.mkdir(parents=True, exist_ok=True)
                order.log.write_text("" if app is None else "built\n")
                made = _built(order, running) if app is None else app
                labels = ImageLabels(self._installation_id, order.image_id, order.build_id)
                return self.docker.add_image(made, *order.tags, labels=labels)
        except BuildInterrupted:
            raise
        except EngineInterrupted as exc:
            raise BuildInterrupted(str(exc)) from exc

    def interrupt_build(self, build_id: int) -> None:
        with self._lock:
            for running in self._running:
                if running.key == _build_key(build_id):
                    self.builds_interrupted.add(build_id)
                    running.ended.set()

    def interrupt_all(self) -> None:
        with self._lock:
            self._closed = True
            for running in self._running:
                running.ended.set()

    def tag(self, docker_image_id: str, tag: str) -> None:
        with self._call("tag", tag):
            self.docker.tag(docker_image_id, tag)

    def remove_tag(self, tag: str) -> None:
        with self._call("remove_tag", tag):
            self.docker.remove_tag(tag, self._installation_id)

    def list_images(self) -> list[ListedImage]:
        with self._call("list_images", ""):
            return self.docker.list_images(self._installation_id)

    def remove_image(self, docker_image_id: str) -> None:
        with self._call("remove_image", docker_image_id):
            self.docker.remove_image(docker_image_id)

    def create(self, order: ContainerOrder) -> str:
        with self._call("create", order.name):
            return self.docker.create(order, self._installation_id)

    def start(self, docker_id: str) -> None:
        with self._call("start", docker_id):
            self.docker.start(docker_id)

    def stop(self, docker_id: str, grace_seconds: float) -> None:
        with self._call("stop", docker_id):
            self.docker.stop(docker_id)

    def remove(self, docker_id: str) -> None:
        with self._call("remove", docker_id):
            self.docker.remove(docker_id)

    def inspect(self, reference: str, *, dated: bool = False) -> Observation | None:
        with self._call("inspect", reference):
            seen = self.docker.find(reference)
            if seen is None or not dated:
                return seen
            return replace(seen, engine_started_at=self.docker.started_at)

    def log_lines(self, docker_id: str, count: int) -> str:
        with self._call("log_lines", docker_id):
            return "\n".join(self.docker.output(docker_id).splitlines()[-count:])

    # ---- detail ----------------------------------------------------------------------------

    @contextmanager
    def _call(self, kind: str, subject: str) -> Iterator[_Running]:
        running = _Running(subject)
        with self._lock:
            self.calls.append((kind, subject))
            if self._closed:
                raise EngineInterrupted("this worker ends")
            self._running.append(running)
            plans = self._plans.get(kind, [])
            plan = plans.pop(0) if plans else None
        try:
            if not self.docker.reachable:
                raise EngineUnreachable("nobody answers at DOCKER_HOST")
            if plan is not None and not plan.after:
                _carry_out(plan, running)
            yield running
            if plan is not None and plan.after:
                _carry_out(plan, running)
        finally:
            with self._lock:
                self._running.remove(running)


def _carry_out(plan: _Plan, running: _Running) -> None:
    if plan.error is not None:
        raise plan.error
    if plan.held is None:
        return
    plan.held.reached.set()
    for _ in range(int(_HELD_SECONDS * 100)):
        if running.ended.is_set():
            raise EngineInterrupted("the call was interrupted")
        if plan.held.let_go.wait(0.01):
            return
    raise AssertionError("a test holds a call and never lets it go")


def _built(order: BuildOrder, running: _Running) -> App:
    """Read as much of a Dockerfile as the suites use."""
    dockerfile = order.context / "Dockerfile"
    if not dockerfile.is_file():
        raise BuildFailed("failed to read dockerfile: open Dockerfile: no such file or directory")
    app = App()
    for number, line in enumerate(dockerfile.read_text().splitlines(), start=1):
        instruction, _, rest = line.partition(" ")
        if instruction not in _INSTRUCTIONS:
            reason = f"dockerfile parse error on line {number}: unknown instruction: {instruction}"
            raise BuildFailed(reason)
        if _USERS_IMAGE in rest:
            raise BuildFailed(f"failed to resolve {rest}: source denied by policy")
        with order.log.open("a") as log:
            log.write(f"#{number} {line}\n")
        exits, sleeps = re.search(r"exit (\d+)", rest), re.search(r"sleep (\d+)", rest)
        if instruction == "CMD":
            app = _app(rest, exits)
        elif instruction == "RUN" and exits:
            raise BuildFailed(f"process did not complete successfully: exit code: {exits[1]}")
        elif instruction == "RUN" and sleeps:
            seconds = float(sleeps[1])
            if running.ended.wait(min(order.timeout_seconds, seconds)):
                raise BuildInterrupted("the call was interrupted")
            if seconds > order.timeout_seconds:
                raise BuildTimedOut(f"the build took longer than {order.timeout_seconds:g} seconds")
    return app


def _app(command: str, exits: re.Match[str] | None) -> App:
    if not command.startswith('["/bin/busybox"'):
        return App(start_refused=f"unable to start container process: exec: {command}")
    return App(
        listens="httpd" in command,
        exits_with=int(exits[1]) if exits else None,
        output="\n".join(re.findall(r"echo (\S+?);", command)),
    )


def _build_key(build_id: int) -> str:
    return f"build-{build_id}"
