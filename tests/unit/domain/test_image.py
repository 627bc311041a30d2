"""An image from its upload to its removal: its limits, its tags, and what is told of it."""

from dataclasses import asdict

import pytest

from domain.errors import (
    IllegalTransition,
    ImageHasLiveContainers,
    ImageNotUsable,
    InstanceLimitReached,
)
from domain.events import Cause, ImageEventType
from domain.image_status import ImageStatus
from tests.unit.domain.samples import (
    NOON,
    after,
    deleting_image,
    ended_build,
    new_image,
    ready_image,
)


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


def test_an_image_whose_last_build_failed_shows_that_the_good_one_is_lost_too() -> None:
    image = ready_image()
    image.status = ImageStatus.BUILD_FAILED

    assert not image.lose_engine("engine-1", ended_build(), "build it again", after(5))

    assert (image.status_reason, image.events) == ("build it again", [])
