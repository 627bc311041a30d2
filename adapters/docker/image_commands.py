"""The images of one engine: built, tagged, listed, removed.

Tags bear the ids of user, image and build, which begin at 1 in each database: two installations on
one engine give the same. So whatever a tag of ours leads to is ours by its labels only.
"""

from __future__ import annotations

from adapters.docker.build_flags import BUILD_ENVIRONMENT, build_flags
from adapters.docker.build_limit import BuildLimit
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
    OutcomeUnknown,
)

# A build may itself be why its engine does not answer, and then it would be so for ever. So one
# that has taken so many times its limit is ended, however little of that the engine answered.
_LONGEST_FACTOR = 2


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
            if self._inspected(tag).installation_id == self._installation_id:
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
            if self._inspected(docker_image_id).tags:
                # By its id it would go with its one tag.
                raise EngineTransient("the image has a tag by now")
            self._run(self._limits.remove, ["image", "rm", docker_image_id])
        except Gone:
            return

    # ---- detail ----------------------------------------------------------------------------

    def _run_build(self, order: BuildOrder) -> None:
        flags = build_flags(order, self._installation_id)
        command = ["buildx", "build", *flags, str(order.context)]
        longest, key = order.timeout_seconds * _LONGEST_FACTOR, _build_key(order.build_id)
        limit = BuildLimit(order.timeout_seconds, self._start_stopwatch())
        try:
            with (
                BuildLog(order.log, self._max_build_log_bytes) as log,
                self._calls.call(longest, key) as call,
                limit.over(call.cut_off),
            ):
                call.stream(command, log.write, classified_build, BUILD_ENVIRONMENT)
        except OSError as exc:
            raise EngineTransient("the worker has no room for the files of a call") from exc
        except CutOff as exc:
            if not limit.reached:
                raise
            reason = f"the build took longer than {order.timeout_seconds:g} seconds"
            raise BuildTimedOut(reason) from exc

    def _image_id(self, order: BuildOrder) -> str:
        """Return the id that `docker create` accepts, whichever image store the engine has."""
        try:
            built = self._inspected(order.tags[0], _build_key(order.build_id))
        except Gone as exc:
            raise EngineTransient("the image is not there after its build") from exc
        expected = (self._installation_id, order.image_id, order.build_id)
        if (built.installation_id, built.image_id, built.build_id) != expected:
            raise EngineTransient(
                "what bears the build's tag is not what was built: another installation's?"
            )
        return built.docker_image_id

    def _inspected(self, reference: str, key: str | None = None) -> ListedImage:
        """Look at one image.

        Raises:
            Gone: there is none.
        """
        with self._calls.call(self._limits.inspect, key) as call:
            found = listed_images(call.answer(["image", "inspect", reference]))
        if len(found) != 1:
            raise OutcomeUnknown(f"one image was asked for, {len(found)} were told")
        return found[0]


def _build_key(build_id: int) -> str:
    return f"build-{build_id}"
