"""What is not as it is to be, and what nobody will change: the audit finds it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from application.audit.audit_progress import audit_progress
from application.audit.records import BuildRecord, ImageRecord, State
from domain.build import BuildStatus
from domain.container_status import ContainerStatus, Desired
from domain.image_status import ImageStatus
from tests.unit.audit.worlds import BUILD, IMAGE, in_status, world

AT_REST = {
    (ContainerStatus.RUNNING, Desired.RUNNING),
    (ContainerStatus.EXITED, Desired.RUNNING),
    (ContainerStatus.STOPPED, Desired.STOPPED),
    (ContainerStatus.FAILED, Desired.RUNNING),
    (ContainerStatus.FAILED, Desired.STOPPED),
    *((ContainerStatus.DELETED, desired) for desired in Desired),
}
PAIRS = tuple(product(ContainerStatus, Desired))


def found(state: State) -> Iterator[str]:
    return (f"{each.kind} {each.about}/{each.which}" for each in audit_progress(state))


def with_build(build: BuildRecord, image: ImageRecord = IMAGE) -> State:
    return world(image=image, builds={build.id: build})


@pytest.mark.parametrize(("status", "desired"), PAIRS)
def test_a_container_that_nobody_takes_up_rests_where_it_is_desired(
    status: ContainerStatus, desired: Desired
) -> None:
    state = world(in_status(status, desired=desired))

    assert list(found(state)) == ([] if (status, desired) in AT_REST else ["forgotten container/5"])


@pytest.mark.parametrize(("status", "desired"), PAIRS)
def test_a_container_that_somebody_takes_up_is_forgotten_by_nobody(
    status: ContainerStatus, desired: Desired
) -> None:
    state = world(in_status(status, desired=desired, awaited=True, restarts=True))

    assert list(found(state)) == []


def test_a_restart_that_nobody_makes_is_forgotten() -> None:
    state = world(in_status(ContainerStatus.EXITED, restarts=True))

    assert list(found(state)) == ["forgotten container/5"]


@pytest.mark.parametrize("status", [BuildStatus.QUEUED, BuildStatus.RUNNING])
def test_a_build_that_nobody_takes_up_is_forgotten(status: BuildStatus) -> None:
    build = replace(BUILD, status=status)
    image = replace(IMAGE, status=ImageStatus.BUILDING, active_build_id=None)

    assert list(found(with_build(build, image))) == ["forgotten build/70"]
    assert list(found(with_build(replace(build, due=True), image))) == []
    assert list(found(with_build(replace(build, leased=True), image))) == []


def test_a_public_tag_that_nobody_sets_is_forgotten() -> None:
    build = replace(BUILD, public_tag_set=False)

    assert list(found(with_build(build))) == ["forgotten build/70"]
    assert list(found(with_build(replace(build, due=True)))) == []


@pytest.mark.parametrize(
    "image",
    [replace(IMAGE, status=ImageStatus.DELETED), replace(IMAGE, active_build_id=71)],
    ids=["deleted", "another build is in use"],
)
def test_the_public_tag_of_a_build_that_is_not_in_use_is_not_missed(image: ImageRecord) -> None:
    assert list(found(with_build(replace(BUILD, public_tag_set=False), image))) == []


def test_an_image_that_builds_without_a_build_is_forgotten() -> None:
    assert list(found(world(image=replace(IMAGE, status=ImageStatus.BUILDING)))) == [
        "forgotten image/7"
    ]


def test_an_image_in_deletion_that_nobody_removes_is_forgotten() -> None:
    image = replace(IMAGE, status=ImageStatus.DELETING)

    assert list(found(world(image=image))) == ["forgotten image/7"]
    assert list(found(world(image=replace(image, due=True)))) == []
    assert list(found(world(image=replace(image, leased=True)))) == []
