"""The images of one engine: built, tagged, listed, removed."""

from __future__ import annotations

from adapters.docker.build_flags import build_flags
from adapters.docker.build_log import BuildLog
from adapters.docker.cli_call import CutOff
from adapters.docker.engine_commands import EngineCommands
from adapters.docker.error_classes import Gone, classified_build
from adapters.docker.inspection import IMAGE_ID, checked_id, listed_images
from application.docker_names import ListedImage
from application.engine_calls import BuildOrder
from application.errors import (
    BuildInterrupted,
    BuildTimedOut,
    EngineInterrupted,
    EngineRefused,
    EngineTransient,
)


class ImageCommands(EngineCommands):
    """What is asked of an engine about images."""

    def build(self, order: BuildOrder) -> str:
        try:
            self._run_build(order)
            return self._image_id(order)
        except EngineInterrupted as exc:
            raise BuildInterrupted(str(exc)) from exc

    def interrupt_build(self, build_id: int) -> None:
        self._calls.interrupt(_build_key(build_id))

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
        return self._inspect_all("image", ids, listed_images)

    def remove_image(self, docker_image_id: str) -> None:
        try:
            answer = self._run(self._limits.inspect, ["image", "inspect", docker_image_id])
            if any(image.tags for image in listed_images(answer)):
                # By its id it would go with its one tag.
                raise EngineTransient("the image has a tag by now")
            self._run(self._limits.remove, ["image", "rm", docker_image_id])
        except Gone:
            return

    # ---- detail ----------------------------------------------------------------------------

    def _run_build(self, order: BuildOrder) -> None:
        flags = build_flags(order, self._installation_id)
        command = ["buildx", "build", *flags, str(order.context)]
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
            raise BuildTimedOut(reason) from exc

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
