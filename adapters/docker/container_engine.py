"""One Docker engine behind the application's port, through the CLI: here, its containers."""

from __future__ import annotations

from collections import deque

from adapters.docker.environment_flags import environment_flags
from adapters.docker.error_classes import AlreadyDone, Gone
from adapters.docker.image_commands import ImageCommands
from adapters.docker.inspection import (
    CONTAINER_ID,
    DEFAULT_NETWORK,
    checked_id,
    dated_observation,
    observations,
)
from adapters.docker.run_flags import run_flags
from application.engine_calls import ContainerOrder
from application.errors import EngineRefused, EngineTransient, OutcomeUnknown
from domain.observation import Observation

LOG_BYTES = 8 * 1024


class DockerContainerEngine(ImageCommands):
    """The engine at DOCKER_HOST; made with the arguments of `EngineCommands`."""

    def list_ours(self) -> list[Observation]:
        listed = self._run(
            self._limits.list,
            ["container", "ls", "--all", "--no-trunc", "--quiet", "--filter", self._ours],
        ).split()
        ids = [checked_id(CONTAINER_ID, each) for each in listed]
        return self._inspect_all("container", ids, observations)

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
