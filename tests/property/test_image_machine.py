"""An image and its builds against a plain model: builds come and end, images go, in any order."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.build import Build, LogTail
from domain.errors import (
    DomainError,
    IllegalTransition,
    ImageHasLiveContainers,
    ImageNotUsable,
    ImageRefuses,
    InstanceLimitReached,
)
from domain.events import ImageEvent
from tests.unit.domain.samples import after, new_image

MAX_INSTANCES = 3
LOG = LogTail("", truncated=False)
ENDS = st.sampled_from(["succeeded", "failed", "cancelled"])
SHOWN = {"succeeded": "ready", "failed": "build_failed", "cancelled": "build_cancelled"}


class ImageMachine(RuleBasedStateMachine):
    """The image's status follows its build until it is to go; nothing brings it back from there."""

    def __init__(self) -> None:
        super().__init__()
        self.image = new_image()
        self.build_id = 70
        self.build = Build.queue(70, 7, "user-1", "log", after(0))
        self.ledger: list[ImageEvent] = []
        self.status, self.build_status = "building", "queued"
        self.attempts = 0
        self.cancel_requested = False
        self.active: int | None = None
        self.told = ["image.build_started"]

    @rule()
    def begin(self) -> None:
        def begin() -> None:
            self.build.begin("engine-1", after(1))

        if self.build_status in {"queued", "running"}:
            begin()
            self.build_status = "running"
            self.attempts += 1
        else:
            refused(IllegalTransition, begin)

    @rule()
    def hand_back(self) -> None:
        if self.build_status == "running" and self.attempts:
            self.build.hand_back()
            self.attempts -= 1

    @rule(end=ENDS)
    def end_build(self, end: str) -> None:
        legal = self.build_status == "running" or (self.build_status, end) == (
            "queued",
            "cancelled",
        )
        if not legal:
            refused(IllegalTransition, lambda: self._end(end))
            return

        self._end(end)
        self._show_in_image(end)

        self.build_status = end
        if self.status == "building":
            self.status = SHOWN[end]
            self.told.append(f"image.{SHOWN[end]}")
            if end == "succeeded":
                self.active = self.build_id
        elif end == "cancelled":
            self.told.append("image.build_cancelled")

    @rule()
    def wish_a_rebuild(self) -> None:
        def wish() -> None:
            self.image.request_rebuild(self.build_id + 1, now=after(2), request_id="rebuild")

        if self.status in {"building", "deleting", "deleted"}:
            refusal = refused(ImageRefuses, wish)
            assert (refusal.current, refusal.requested) == (self.status, "rebuild")
            return

        wish()

        self.build_id += 1
        self.build = Build.queue(self.build_id, 7, "user-1", "log", after(2))
        self.status, self.build_status = "building", "queued"
        self.attempts, self.cancel_requested = 0, False
        self.told.append("image.build_started")

    @rule()
    def wish_the_build_ended(self) -> None:
        def wish() -> None:
            self.image.request_cancel("cancel")

        if self.status == "building":
            wish()
            self._cancel_build()
        else:
            refusal = refused(ImageRefuses, wish)
            assert (refusal.current, refusal.requested) == (self.status, "cancel")

    @rule(live=st.integers(0, 2))
    def wish_it_gone(self, live: int) -> None:
        def wish() -> bool:
            return self.image.request_delete(live, now=after(3), request_id="delete")

        if self.status in {"deleting", "deleted"}:
            assert not wish()
        elif live:
            assert refused(ImageHasLiveContainers, wish).count == live
        else:
            assert wish()
            self.status = "deleting"
            self._cancel_build()

    @rule()
    def record_gone(self) -> None:
        def record() -> None:
            self.image.record_deleted(after(4))

        if self.status != "deleting":
            refused(IllegalTransition, record)
        elif self.build_status in {"succeeded", "failed", "cancelled"}:
            record()
            self.status = "deleted"
            self.told.append("image.deleted")

    @rule(live=st.integers(0, MAX_INSTANCES + 1), requested=st.integers(1, MAX_INSTANCES + 1))
    def ask_for_containers(self, live: int, requested: int) -> None:
        def ask() -> int:
            return self.image.admit_containers(live, requested)

        if self.active is None or self.status in {"deleting", "deleted"}:
            assert refused(ImageNotUsable, ask).status == self.status
        elif live + requested > MAX_INSTANCES:
            assert refused(InstanceLimitReached, ask).left == max(MAX_INSTANCES - live, 0)
        else:
            assert ask() == self.active

    @invariant()
    def is_as_the_model(self) -> None:
        assert (self.image.status, self.build.status) == (self.status, self.build_status)
        assert (self.image.active_build_id, self.build.attempt) == (self.active, self.attempts)
        assert self.build.cancel_requested == self.cancel_requested

    @invariant()
    def is_building_exactly_while_a_build_of_it_is_not_over(self) -> None:
        if not self.image.is_deleting:
            assert (self.image.status == "building") == (not self.build.is_finished)

    @invariant()
    def tells_what_the_model_tells(self) -> None:
        self.ledger += self.image.events
        self.image.events.clear()
        assert [event.type for event in self.ledger] == self.told
        assert [event.sequence for event in self.ledger] == list(range(1, len(self.told) + 1))
        assert all(event.type != "image.deleted" for event in self.ledger[:-1])

    # ---- detail ----------------------------------------------------------------------------

    def _end(self, end: str) -> None:
        if end == "succeeded":
            self.build.succeed("sha256:abc", LOG, after(2))
        elif end == "failed":
            self.build.fail("reason", LOG, after(2))
        else:
            self.build.cancel(LOG, after(2))

    def _show_in_image(self, end: str) -> None:
        if end == "succeeded":
            self.image.record_built(self.build, after(2))
        elif end == "failed":
            self.image.record_build_failed(self.build, after(2))
        else:
            self.image.record_build_cancelled(self.build, after(2))

    def _cancel_build(self) -> None:
        self.build.request_cancel(after(3))
        if self.build_status == "queued":
            self.image.record_build_cancelled(self.build, after(3))
            self.build_status = "cancelled"
            if self.status == "building":
                self.status = "build_cancelled"
            self.told.append("image.build_cancelled")
        elif self.build_status == "running":
            self.cancel_requested = True


Refused = TypeVar("Refused", bound=DomainError)


def refused(error: type[Refused], act: Callable[[], object]) -> Refused:
    with pytest.raises(error) as refusal:
        act()
    return refusal.value


TestImage = ImageMachine.TestCase
TestImage.settings = settings(max_examples=200, stateful_step_count=30)
