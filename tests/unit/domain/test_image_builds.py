"""What becomes of the builds of an image, and what that leaves in use."""

import pytest

from domain.build import Build
from domain.errors import ImageRefuses
from domain.events import Cause, ImageEventType
from domain.image import Image
from domain.image_status import ImageStatus
from tests.unit.domain.samples import (
    NOON,
    after,
    deleting_image,
    ended_build,
    new_image,
    ready_image,
)


def test_a_good_build_makes_the_image_ready_and_tells_its_digest() -> None:
    image = new_image()

    image.record_built(ended_build(), after(1))

    told = image.events[-1]
    assert (image.status, image.active_build_id) == (ImageStatus.READY, 70)
    assert (told.type, told.sequence, told.cause) == (ImageEventType.READY, 2, Cause.BUILD)
    assert (told.build_id, told.image_digest) == (70, "sha256:70")
    assert (told.previous_status, told.status) == ("building", "ready")


def test_a_failed_build_is_told_with_its_reason() -> None:
    image = new_image()

    image.record_build_failed(ended_build(good=False), after(1))

    told = image.events[-1]
    assert (image.status, image.status_reason) == (ImageStatus.BUILD_FAILED, "step 3 failed")
    assert (told.type, told.status_reason) == (ImageEventType.BUILD_FAILED, "step 3 failed")
    assert image.active_build_id is None


def test_a_failed_rebuild_leaves_the_last_good_build_in_use() -> None:
    image = ready_image()
    image.request_rebuild(71, now=after(1), request_id="rebuild")

    image.record_build_failed(ended_build(71, good=False), after(2))

    assert (image.status, image.active_build_id) == (ImageStatus.BUILD_FAILED, 70)
    assert image.admit_containers(0, 1) == 70


@pytest.mark.parametrize(
    "status",
    [
        ImageStatus.READY,
        ImageStatus.BUILD_FAILED,
        ImageStatus.BUILD_CANCELLED,
        ImageStatus.REGISTERED,
    ],
)
def test_a_rebuild_is_told_as_begun_and_the_last_good_build_stays_in_use(
    status: ImageStatus,
) -> None:
    image = ready_image()
    image.status = status

    image.request_rebuild(71, now=after(2), request_id="rebuild")

    (told,) = image.events
    assert (told.status_reason, told.status) == (None, ImageStatus.BUILDING)
    assert (told.type, told.build_id, told.cause) == (
        ImageEventType.BUILD_STARTED,
        71,
        Cause.API,
    )
    assert (told.previous_status, told.status, told.request_id) == (status, "building", "rebuild")
    assert image.admit_containers(0, 1) == 70


def test_an_image_that_builds_or_goes_is_not_rebuilt() -> None:
    for image in (new_image(), deleting_image()):
        status, sequence = image.status, image.sequence

        with pytest.raises(ImageRefuses) as refusal:
            image.request_rebuild(71, now=after(3), request_id="rebuild")

        assert (refusal.value.current, refusal.value.requested) == (status, "rebuild")
        assert (image.status, image.sequence) == (status, sequence)
        assert image.request_id != "rebuild"


def test_a_cancelled_rebuild_leaves_the_last_good_build_in_use() -> None:
    image = ready_image()
    image.request_rebuild(71, now=after(2), request_id="rebuild")
    build = Build.queue(71, 7, "user-1", "log", after(2))

    image.request_cancel("cancel")
    build.request_cancel(after(3))
    image.record_build_cancelled(build, after(3))

    told = image.events[-1]
    assert (image.status, image.active_build_id) == (ImageStatus.BUILD_CANCELLED, 70)
    assert (told.build_id, told.request_id) == (71, "cancel")


@pytest.mark.parametrize("image", [ready_image(), deleting_image()])
def test_there_is_nothing_to_cancel_in_an_image_that_does_not_build(image: Image) -> None:
    with pytest.raises(ImageRefuses) as refusal:
        image.request_cancel("cancel")

    assert (refusal.value.current, refusal.value.requested) == (image.status, "cancel")
    assert image.request_id != "cancel"


def test_a_build_that_ends_while_its_image_is_deleted_brings_the_image_back_no_more() -> None:
    image = deleting_image()

    image.record_built(ended_build(71), after(3))
    image.record_build_failed(ended_build(72, good=False), after(3))

    assert (image.status, image.active_build_id, image.events) == (ImageStatus.DELETING, 70, [])


def test_a_build_cancelled_by_the_deletion_is_told_and_the_image_stays_in_deletion() -> None:
    image = new_image()
    image.request_delete(0, now=after(2), request_id="delete")
    build = Build.queue(70, 7, "user-1", "log", NOON)
    build.request_cancel(after(2))

    image.record_build_cancelled(build, after(2))

    told = image.events[-1]
    assert (image.status, told.type) == (ImageStatus.DELETING, ImageEventType.BUILD_CANCELLED)
    assert (told.previous_status, told.status) == ("deleting", "deleting")


def test_a_cancelled_build_of_a_living_image_shows_in_its_status() -> None:
    image = new_image()
    build = Build.queue(70, 7, "user-1", "log", NOON)
    build.request_cancel(after(2))

    image.record_build_cancelled(build, after(2))

    assert (image.status, image.status_reason) == (ImageStatus.BUILD_CANCELLED, "cancelled")


def test_a_ready_image_whose_engine_is_lost_is_built_again() -> None:
    image = ready_image()
    image.place_on("engine-1")

    needs_build = image.lose_engine("engine-1", ended_build(), "build it again", after(5))
    image.request_rebuild(71, now=after(5), request_id=None, cause=Cause.RECONCILER)

    told = image.events[-1]
    assert needs_build
    assert (image.status, image.status_reason) == (ImageStatus.BUILDING, None)
    assert (image.active_build_id, image.engine_id) == (None, None)
    assert (told.type, told.sequence) == (ImageEventType.BUILD_STARTED, 3)
    assert (told.previous_status, told.status, told.cause) == (
        "ready",
        "building",
        Cause.RECONCILER,
    )


def test_an_image_that_is_built_again_when_its_engine_is_lost_goes_on_building() -> None:
    image = ready_image()
    image.status = ImageStatus.BUILDING

    assert not image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status, image.active_build_id, image.events) == (ImageStatus.BUILDING, None, [])


def test_an_image_in_deletion_waits_for_no_lost_engine() -> None:
    image = deleting_image()
    image.place_on("engine-1")

    assert not image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status, image.engine_id, image.events) == (ImageStatus.DELETING, None, [])


def test_an_engine_without_its_good_build_costs_an_image_nothing() -> None:
    image = ready_image()
    image.place_on("engine-2")

    assert not image.lose_engine("engine-2", ended_build(), "build it again", after(5))

    assert (image.status, image.active_build_id, image.engine_id) == (ImageStatus.READY, 70, None)
