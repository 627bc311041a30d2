"""An image from its upload to its removal: its builds, its limits, and what is told of it."""

from dataclasses import asdict

import pytest

from domain.build import Build, LogTail
from domain.errors import (
    IllegalTransition,
    ImageHasLiveContainers,
    ImageNotUsable,
    ImageRefuses,
    InstanceLimitReached,
)
from domain.events import Cause, ImageEventType
from domain.image import Image
from domain.image_status import ImageStatus
from tests.unit.domain.samples import NOON, after, new_image

LOG = LogTail("", truncated=False)


def ended_build(build_id: int = 70, *, good: bool = True) -> Build:
    build = Build.queue(build_id, 7, "user-1", "log", NOON)
    build.begin("engine-1", NOON)
    if good:
        build.succeed(f"sha256:{build_id}", LOG, after(1))
    else:
        build.fail("step 3 failed", LOG, after(1))
    return build


def ready_image() -> Image:
    image = new_image()
    image.record_built(ended_build(), after(1))
    image.events.clear()
    return image


def deleting_image() -> Image:
    image = ready_image()
    image.request_delete(0, now=after(2), request_id="delete")
    return image


def test_an_upload_tells_that_its_first_build_was_started() -> None:
    image = new_image()

    assert (image.status, image.active_build_id) == (ImageStatus.BUILDING, None)
    assert [asdict(event) for event in image.events] == [
        {
            "type": ImageEventType.BUILD_STARTED,
            "sequence": 1,
            "image_id": 7,
            "user_id": "user-1",
            "name": "My App",
            "tag": "latest",
            "app_hostname": "app.example.com",
            "build_id": 70,
            "image_digest": None,
            "previous_status": None,
            "status": "building",
            "status_reason": None,
            "cause": Cause.API,
            "occurred_at": NOON,
            "request_id": "upload",
        }
    ]


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


@pytest.mark.parametrize(("live", "requested"), [(0, 3), (2, 1)])
def test_containers_that_fit_are_made_from_the_last_good_build(live: int, requested: int) -> None:
    assert ready_image().admit_containers(live, requested) == 70


def test_containers_that_do_not_all_fit_are_refused_with_how_many_would() -> None:
    with pytest.raises(InstanceLimitReached) as refusal:
        ready_image().admit_containers(2, 2)

    assert (refusal.value.max_instances, refusal.value.left, refusal.value.requested) == (3, 1, 2)


def test_containers_of_an_image_without_a_good_build_are_refused() -> None:
    with pytest.raises(ImageNotUsable) as refusal:
        new_image().admit_containers(0, 1)

    assert refusal.value.status == "building"


def test_containers_of_an_image_in_deletion_are_refused() -> None:
    with pytest.raises(ImageNotUsable) as refusal:
        deleting_image().admit_containers(0, 1)

    assert refusal.value.status == "deleting"


def test_an_image_with_live_containers_is_not_deleted() -> None:
    image = ready_image()

    with pytest.raises(ImageHasLiveContainers) as refusal:
        image.request_delete(2, now=after(2), request_id="delete")

    assert refusal.value.count == 2
    assert (image.status, image.request_id) == (ImageStatus.READY, "upload")


def test_the_first_wish_to_delete_counts_and_repeating_it_changes_nothing() -> None:
    image = ready_image()

    first = image.request_delete(0, now=after(2), request_id="first")
    second = image.request_delete(0, now=after(3), request_id="second")

    assert (first, second, image.status) == (True, False, ImageStatus.DELETING)
    assert (image.request_id, image.updated_at) == ("first", after(2))
    assert image.events == []


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


def test_deleted_is_the_last_thing_that_is_told_of_an_image() -> None:
    image = deleting_image()

    image.record_deleted(after(4))

    assert (image.is_deleting, image.is_deleted) == (True, True)
    assert [event.type for event in image.events] == [ImageEventType.DELETED]
    assert (image.events[0].request_id, image.events[0].sequence) == ("delete", 3)
    with pytest.raises(IllegalTransition):
        image.record_deleted(after(5))
    with pytest.raises(IllegalTransition):
        image.record_build_cancelled(ended_build(71), after(5))
    assert len(image.events) == 1


def test_an_image_is_not_deleted_before_that_was_wished() -> None:
    image = ready_image()

    with pytest.raises(IllegalTransition) as refusal:
        image.record_deleted(after(2))

    assert (refusal.value.current, refusal.value.requested) == ("ready", "deleted")


def test_tags_in_docker_carry_the_user_and_the_image() -> None:
    image = new_image()

    assert image.public_tag == "nvidia-app-uuser-1-i7:latest"
    assert image.build_tag(70) == "nvidia-app-uuser-1-i7:b70"


def test_a_ready_image_whose_engine_is_lost_has_no_build_and_says_so() -> None:
    image = ready_image()
    image.place_on("engine-1")

    image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    told = image.events[-1]
    assert (image.status, image.status_reason) == (ImageStatus.BUILD_FAILED, "build it again")
    assert (image.active_build_id, image.engine_id) == (None, None)
    assert (told.type, told.sequence) == (ImageEventType.BUILD_FAILED, 3)
    assert (told.previous_status, told.status, told.cause) == (
        "ready",
        "build_failed",
        Cause.RECONCILER,
    )


def test_an_image_that_is_built_again_when_its_engine_is_lost_goes_on_building() -> None:
    image = ready_image()
    image.status = ImageStatus.BUILDING

    image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status, image.active_build_id, image.events) == (ImageStatus.BUILDING, None, [])


def test_an_image_whose_last_build_failed_shows_that_the_good_one_is_lost_too() -> None:
    image = ready_image()
    image.status = ImageStatus.BUILD_FAILED

    image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status_reason, image.events) == ("build it again", [])


def test_an_image_in_deletion_waits_for_no_lost_engine() -> None:
    image = deleting_image()
    image.place_on("engine-1")

    image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status, image.engine_id, image.events) == (ImageStatus.DELETING, None, [])


def test_an_engine_without_its_good_build_costs_an_image_nothing() -> None:
    image = ready_image()
    image.place_on("engine-2")

    image.lose_engine("engine-2", ended_build(), "build it again", after(5))

    assert (image.status, image.active_build_id, image.engine_id) == (ImageStatus.READY, 70, None)
