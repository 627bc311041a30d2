"""Tags where they should be, and what is there of images that nobody needs any more."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from application.audit.audit_tags import Listed, audit_tags
from application.audit.records import BuildRecord, ContainerRecord, State
from application.docker_names import ListedImage
from domain.build import BuildStatus
from domain.container_status import ContainerStatus
from domain.image_status import ImageStatus
from tests.unit.audit.worlds import (
    BUILD,
    CONTAINER,
    DIGEST,
    ENGINE,
    IMAGE,
    REPOSITORY,
    TAGS,
    in_status,
    world,
)
from tests.unit.domain.samples import NOON, after

GRACE = 60.0
OLD = replace(BUILD, id=69, docker_image_id="sha256:old")
OLD_TAG = f"{REPOSITORY}:b69"


def listed(*images: ListedImage, at: float = 0.0) -> Listed:
    """What is there so many seconds past noon, beside what the image needs."""
    return Listed([made(70, *TAGS, digest=DIGEST), *images], after(at))


def made(build_id: int, *tags: str, digest: str, at: datetime | None = NOON) -> ListedImage:
    """What a build of the image made at a time."""
    return ListedImage(digest, tags, IMAGE.id, build_id, at)


def found(state: State, there: Listed) -> list[str]:
    return [f"{each.kind} {each.which}" for each in audit_tags(state, ENGINE, there, GRACE)]


# ---- tags ----------------------------------------------------------------------------------


def tagged(tags: Mapping[str, str]) -> Listed:
    return Listed([ListedImage(digest, [tag], None, None, NOON) for tag, digest in tags.items()])


def test_the_tags_of_a_ready_image_are_healthy() -> None:
    assert found(world(), tagged(TAGS)) == []


@pytest.mark.parametrize("tag", list(TAGS))
def test_a_tag_that_is_missing_or_moved_is_found(tag: str) -> None:
    without = {name: image for name, image in TAGS.items() if name != tag}

    assert found(world(), tagged(without)) == ["tag 7"]
    assert found(world(), tagged({**TAGS, tag: "sha256:else"})) == ["tag 7"]


def test_a_public_tag_that_was_not_set_yet_is_not_expected() -> None:
    state = world(builds={70: replace(BUILD, public_tag_set=False)})

    assert found(state, tagged({f"{REPOSITORY}:b70": DIGEST})) == []


def test_tags_of_a_deleted_or_unknown_image_are_left() -> None:
    deleted = world(None, replace(IMAGE, status=ImageStatus.DELETED, active_build_id=None))
    strange = {"nvidia-app-uuser-1-i99:latest": DIGEST, f"{REPOSITORY}:b71": DIGEST}

    assert len(found(deleted, tagged(TAGS))) == 2
    assert sorted(found(world(), tagged({**TAGS, **strange}))) == [
        f"tag-left {REPOSITORY}:b71",
        "tag-left nvidia-app-uuser-1-i99:latest",
    ]


def test_tags_of_an_image_on_another_engine_are_not_expected_here() -> None:
    assert found(world(builds={70: replace(BUILD, engine_id="engine-2")}), Listed()) == []


# ---- what a sweep removes ------------------------------------------------------------------


def with_old(build: BuildRecord = OLD, container: ContainerRecord | None = None) -> State:
    """A state with another build of the image."""
    return world(container, builds={BUILD.id: BUILD, build.id: build})


@pytest.mark.parametrize(
    "status", [BuildStatus.FAILED, BuildStatus.CANCELLED, BuildStatus.SUCCEEDED]
)
def test_the_tag_of_a_build_that_nobody_needs_is_left_once_it_should_have_been_swept(
    status: BuildStatus,
) -> None:
    state, old = with_old(replace(OLD, status=status)), made(69, OLD_TAG, digest="sha256:old")

    assert found(state, listed(old, at=GRACE - 1)) == []
    assert found(state, listed(old, at=GRACE)) == [f"build-tag-left {OLD_TAG}"]


def test_an_image_that_lost_its_tag_is_left_once_it_should_have_been_swept() -> None:
    lost = made(70, digest="sha256:first-attempt")

    assert found(world(), listed(lost, at=GRACE - 1)) == []
    assert found(world(), listed(lost, at=GRACE)) == ["image-left sha256:first-attempt"]


@pytest.mark.parametrize(
    "state",
    [
        with_old(replace(OLD, status=BuildStatus.RUNNING)),
        with_old(replace(OLD, due=True)),
        with_old(container=replace(CONTAINER, build_id=69)),
        with_old(container=in_status(ContainerStatus.FAILED, build_id=69)),
    ],
)
def test_what_a_build_or_a_container_needs_is_not_left(state: State) -> None:
    old = made(69, OLD_TAG, digest="sha256:old")

    assert found(state, listed(old, at=9e9)) == []


def test_what_an_older_build_needed_until_now_is_not_left_yet() -> None:
    gone = in_status(ContainerStatus.DELETED, build_id=69, wished_at=after(1000))
    replaced = {69: OLD, 70: replace(BUILD, finished_at=after(1000))}
    old = made(69, OLD_TAG, digest="sha256:old")

    for state in (with_old(container=gone), world(None, builds=replaced)):
        assert found(state, listed(old, at=1000 + GRACE - 1)) == []
        assert found(state, listed(old, at=1000 + GRACE)) == [f"build-tag-left {OLD_TAG}"]


def test_what_no_sweep_removes_is_not_left() -> None:
    others = ListedImage("sha256:else", (), None, None, NOON)
    undated = made(69, OLD_TAG, digest="sha256:old", at=None)

    assert found(with_old(), listed(others, undated, at=9e9)) == []


def test_a_tag_of_nobody_is_told_once_and_at_once() -> None:
    strange = ListedImage("sha256:x", ("nvidia-app-uuser-1-i99:b5",), 99, 5, NOON)

    assert found(world(), listed(strange, at=9e9)) == ["tag-left nvidia-app-uuser-1-i99:b5"]
