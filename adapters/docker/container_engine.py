"""One Docker engine behind the application's port, through the CLI.

Nothing here knows leases or the database. Every call is idempotent where Docker allows it: what is
already as asked is success, what is gone cannot be removed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from adapters.docker import labels
from adapters.docker.build_log import MAX_BYTES, BuildLog
from adapters.docker.cli_call import CutOff
from adapters.docker.cli_calls import CliCalls
from adapters.docker.environment_flags import environment_flags
from adapters.docker.error_classes import AlreadyDone, Gone, classified, classified_build
from adapters.docker.inspection import (
    CONTAINER_ID,
    DEFAULT_NETWORK,
    ENGINE_ID,
    IMAGE_ID,
    checked_id,
    dated_observation,
    listed_images,
    observations,
)
from adapters.docker.run_flags import run_flags
from application.docker_names import ListedImage
from application.engine_calls import BuildOrder, CallLimits, ContainerOrder
from application.errors import (
    BuildFailed,
    BuildInterrupted,
    EngineInterrupted,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    OutcomeUnknown,
)
from domain.observation import Observation

_NO_ID = "no id: "
_ID_OR_WHY_NOT = f"{{{{.ID}}}}{{{{range .ServerErrors}}}}{_NO_ID}{{{{.}}}}{{{{end}}}}"

LOG_BYTES = 8 * 1024
# Linux allows 2 MiB of arguments, of which an id takes 73 bytes.
_INSPECTED_AT_ONCE = 10_000


class DockerContainerEngine:
    """The engine at DOCKER_HOST.

    Args:
        docker_host: where it is.
        installation_id: labels what is ours.
        publish_host_ip: the address that external ports are bound to on the engine.
        scratch: a private folder for pid files.
        limits: how long each call may take.
        max_build_log_bytes: how large the log of a build may become.
    """

    def __init__(
        self,
        *,
        docker_host: str,
        installation_id: str,
        scratch: Path,
        publish_host_ip: str = "127.0.0.1",
        limits: CallLimits | None = None,
        max_build_log_bytes: int = MAX_BYTES,
    ) -> None:
        self._calls = CliCalls(docker_host, scratch)
        self._installation_id = installation_id
        self._ours = f"label={labels.INSTALLATION_ID}={installation_id}"
        self._publish_host_ip = publish_host_ip
        self._limits = limits or CallLimits()
        self._max_build_log_bytes = max_build_log_bytes

    @property
    def limits(self) -> CallLimits:
        return self._limits

    def engine_id(self) -> str:
        told = self._run(self._limits.inspect, ["info", "--format", _ID_OR_WHY_NOT])
        engine_id, _, why = told.partition(_NO_ID)
        if not engine_id.strip():
            # The client answers with its own half when the daemon does not, some with code 0.
            error = classified(why)
            unknown = isinstance(error, OutcomeUnknown)
            raise EngineUnreachable("the engine told no id") if unknown else error
        return checked_id(ENGINE_ID, engine_id.strip())

    def version(self) -> str:
        """Return the engine's version, for whoever reads the engines table."""
        return self._run(self._limits.inspect, ["version", "--format", "{{.Server.Version}}"])

    def list_ours(self) -> list[Observation]:
        listed = self._run(
            self._limits.list,
            ["container", "ls", "--all", "--no-trunc", "--quiet", "--filter", self._ours],
        ).split()
        ids = [checked_id(CONTAINER_ID, each) for each in listed]
        found: list[Observation] = []
        for first in range(0, len(ids), _INSPECTED_AT_ONCE):
            command = ["container", "inspect", *ids[first : first + _INSPECTED_AT_ONCE]]
            with self._calls.call(self._limits.list) as call:
                found += observations(call.answer_of_many(command))
        return found

    def tags(self) -> dict[str, str]:
        """Return every tag of images with our installation's label, with its Docker image id."""
        ours = f"label={labels.INSTALLATION_ID}={self._installation_id}"
        listed = self._run(
            self._limits.list,
            [
                *("image", "ls", "--no-trunc", "--filter", ours),
                *("--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
            ],
        )
        rows = (line.split(" ", 1) for line in listed.splitlines())
        return {
            tag: checked_id(IMAGE_ID, image_id) for image_id, tag in rows if "<none>" not in tag
        }

    def build(self, order: BuildOrder) -> str:
        try:
            self._run_build(order)
            return self._image_id(order)
        except EngineInterrupted as exc:
            raise BuildInterrupted(str(exc)) from exc

    def interrupt_build(self, build_id: int) -> None:
        self._calls.interrupt(_build_key(build_id))

    def interrupt_all(self) -> None:
        self._calls.interrupt_all()

    def tag(self, docker_image_id: str, tag: str) -> None:
        try:
            self._run(self._limits.tag, ["image", "tag", docker_image_id, tag])
        except Gone as exc:
            raise EngineRefused(str(exc)) from exc

    def remove_tag(self, tag: str) -> None:
        try:
            self._run(self._limits.tag, ["image", "rm", tag])
        except Gone:
            return

    def list_images(self) -> list[ListedImage]:
        command = ["image", "ls", "--no-trunc", "--quiet", "--filter", self._ours]
        # An image stands there once for each of its tags.
        listed = dict.fromkeys(self._run(self._limits.list, command).split())
        ids = [checked_id(IMAGE_ID, each) for each in listed]
        found: list[ListedImage] = []
        for first in range(0, len(ids), _INSPECTED_AT_ONCE):
            command = ["image", "inspect", *ids[first : first + _INSPECTED_AT_ONCE]]
            with self._calls.call(self._limits.list) as call:
                found += listed_images(call.answer_of_many(command))
        return found

    def remove_image(self, docker_image_id: str) -> None:
        try:
            answer = self._run(self._limits.inspect, ["image", "inspect", docker_image_id])
            if any(image.tags for image in listed_images(answer)):
                # By its id it would go with its one tag.
                raise EngineTransient("the image has a tag by now")
            self._run(self._limits.remove, ["image", "rm", docker_image_id])
        except Gone:
            return

    def create(self, order: ContainerOrder) -> str:
        flags = run_flags(order, self._installation_id, self._publish_host_ip)
        try:
            with (
                self._calls.call(self._limits.create) as call,
                environment_flags(order.env) as env,
            ):
                command = ["container", "create", *flags, *env.flags, order.docker_image_id]
                answer = call.answer(command, [env.descriptor], env.environment)
        except Gone as exc:
            raise EngineRefused("its image is not on the engine any more") from exc
        return checked_id(CONTAINER_ID, answer)

    def start(self, docker_id: str) -> None:
        try:
            self._run(self._limits.start, ["container", "start", docker_id])
        except AlreadyDone:
            return
        except Gone as exc:
            raise EngineTransient("the container was removed before it was started") from exc

    def stop(self, docker_id: str, grace_seconds: float) -> None:
        grace = max(round(grace_seconds), 0)
        # -t: its long form has changed its name.
        command = ["container", "stop", "-t", str(grace), docker_id]
        try:
            self._run(self._limits.stop + grace, command)
        except (AlreadyDone, Gone):
            return

    def remove(self, docker_id: str) -> None:
        try:
            self._run(self._limits.remove, ["container", "rm", "--force", "--volumes", docker_id])
        except (AlreadyDone, Gone):
            return

    def inspect(self, reference: str, *, dated: bool = False) -> Observation | None:
        if dated and (seen := self._inspect_dated(reference)) is not None:
            return seen
        try:
            answer = self._run(self._limits.inspect, ["container", "inspect", reference])
        except Gone:
            return None
        found = observations(answer)
        if len(found) != 1:
            raise OutcomeUnknown(f"one container was asked for, {len(found)} were told")
        return found[0]

    def log_lines(self, docker_id: str, count: int) -> str:
        lines: deque[str] = deque(maxlen=count)
        command = ["container", "logs", "--tail", str(count), docker_id]
        try:
            with self._calls.call(self._limits.inspect) as call:
                call.stream(command, lambda line: lines.append(line[-LOG_BYTES:]))
        except Gone:
            return ""
        text = "\n".join(lines).replace("\0", "")
        return text.encode()[-LOG_BYTES:].decode(errors="ignore")

    # ---- detail ----------------------------------------------------------------------------

    def _inspect_dated(self, reference: str) -> Observation | None:
        """Look at a container and at the engine's start in one call; None if either is not there.

        Docker does not tell when it started, but it makes its default network anew each time.
        """
        command = ["inspect", "--format", "{{json .}}", reference, DEFAULT_NETWORK]
        try:
            return dated_observation(self._run(self._limits.inspect, command))
        except Gone:
            return None

    def _run(self, seconds: float, command: Sequence[str]) -> str:
        with self._calls.call(seconds) as call:
            return call.answer(command).strip()

    def _run_build(self, order: BuildOrder) -> None:
        command = ["buildx", "build", *self._build_flags(order), str(order.context)]
        try:
            with (
                BuildLog(order.log, self._max_build_log_bytes) as log,
                self._calls.call(order.timeout_seconds, _build_key(order.build_id)) as call,
            ):
                call.stream(command, log.write, classified_build)
        except OSError as exc:
            raise EngineTransient("the worker has no room for the files of a call") from exc
        except CutOff as exc:
            reason = f"the build took longer than {order.timeout_seconds:g} seconds"
            raise BuildFailed(reason) from exc

    def _build_flags(self, order: BuildOrder) -> Iterator[str]:
        # The engine's own BuildKit, whichever builder the machine's user has chosen for himself.
        yield from ("--builder", "default", "--load", "--progress", "plain", "--provenance=false")
        ours = {
            labels.INSTALLATION_ID: self._installation_id,
            labels.IMAGE_ID: str(order.image_id),
            labels.BUILD_ID: str(order.build_id),
        }
        for name, value in ours.items():
            yield from ("--label", f"{name}={value}")
        for tag in order.tags:
            yield from ("--tag", tag)

    def _image_id(self, order: BuildOrder) -> str:
        """Return the id that `docker create` accepts, whichever image store the engine has."""
        command = ["image", "inspect", "--format", "{{.Id}}", order.tags[0]]
        try:
            with self._calls.call(self._limits.inspect, _build_key(order.build_id)) as call:
                return checked_id(IMAGE_ID, call.answer(command))
        except Gone as exc:
            raise EngineTransient("the image is not there after its build") from exc


def _build_key(build_id: int) -> str:
    return f"build-{build_id}"
