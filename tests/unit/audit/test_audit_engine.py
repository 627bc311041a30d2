"""What is on the engine, on the volume, and what is recorded of both."""

import uuid
from dataclasses import replace

import pytest

from application.audit.audit_engine import audit_engine
from application.audit.audit_volume import VolumeRecord, audit_volume
from application.audit.difference import Difference
from application.audit.records import State
from domain.container_status import ContainerStatus
from domain.image_status import ImageStatus
from domain.observation import Observation
from tests.unit.audit.worlds import (
    CONTAINER,
    ENGINE,
    IMAGE,
    SEEN,
    in_status,
    seen_otherwise,
    world,
)
from tests.unit.domain.samples import seen_ended

AT_REST = (ContainerStatus.STOPPED, ContainerStatus.EXITED)
UNDER_WAY = (
    ContainerStatus.CREATING,
    ContainerStatus.STARTING,
    ContainerStatus.STOPPING,
    ContainerStatus.DELETING,
)
GONE = (ContainerStatus.FAILED, ContainerStatus.DELETED)
GRACE = 3600.0


def found(state: State, *seen: Observation, engine_id: str = ENGINE) -> list[str]:
    return [
        f"{each.kind} {each.about}/{each.which}" for each in audit_engine(state, engine_id, seen)
    ]


def test_a_container_that_runs_as_recorded_is_healthy() -> None:
    assert found(world(), SEEN) == []


@pytest.mark.parametrize("status", AT_REST)
def test_one_that_rests_as_recorded_is_healthy(status: ContainerStatus) -> None:
    assert found(world(in_status(status)), seen_ended()) == []


@pytest.mark.parametrize("status", UNDER_WAY)
@pytest.mark.parametrize("seen", [SEEN, seen_ended()], ids=["runs", "ended"])
def test_of_one_that_is_being_changed_nothing_is_expected(
    status: ContainerStatus, seen: Observation
) -> None:
    assert found(world(in_status(status)), seen) == []


def test_one_that_is_created_may_be_there_before_its_id_is_known() -> None:
    creating = in_status(ContainerStatus.CREATING, docker_id=None)

    assert found(world(creating), SEEN) == []
    assert found(world(creating)) == []


@pytest.mark.parametrize(
    "status",
    [ContainerStatus.RUNNING, *AT_REST, ContainerStatus.STARTING, ContainerStatus.STOPPING],
)
def test_one_that_is_not_there_is_missing(status: ContainerStatus) -> None:
    assert found(world(in_status(status))) == ["missing container/5"]


@pytest.mark.parametrize("status", AT_REST)
def test_one_that_runs_and_should_not_is_found(status: ContainerStatus) -> None:
    assert found(world(in_status(status)), SEEN) == ["runs container/5"]


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (seen_ended(), "does-not-run"),
        (seen_otherwise(started_at=seen_ended().finished_at), "another-run"),
        (seen_otherwise(container_ip="172.17.0.9"), "address"),
        (seen_otherwise(name="somebody"), "name"),
        (seen_otherwise(spec_hash="another port"), "made-otherwise"),
    ],
)
def test_one_that_runs_otherwise_than_recorded_is_found(seen: Observation, kind: str) -> None:
    assert found(world(), seen) == [f"{kind} container/5"]


def test_a_second_object_with_its_uid_is_found() -> None:
    second = seen_otherwise(docker_id="e" * 64)

    assert found(world(), SEEN, second) == ["duplicate container/5"]


def test_two_objects_with_the_uid_of_one_that_is_created_are_found() -> None:
    creating = in_status(ContainerStatus.CREATING, docker_id=None)

    differences = found(world(creating), SEEN, seen_otherwise(docker_id="e" * 64))

    assert differences == ["duplicate container/5"]


@pytest.mark.parametrize("uid", [None, uuid.uuid4()])
def test_what_bears_our_label_and_is_nobodys_is_an_orphan(uid: uuid.UUID | None) -> None:
    stray = seen_otherwise(docker_id="e" * 64, uid=uid)

    assert found(world(), SEEN, stray) == [f"orphan docker/{'e' * 64}"]


@pytest.mark.parametrize("status", GONE)
def test_what_is_left_of_one_that_is_over_is_found(status: ContainerStatus) -> None:
    assert found(world(in_status(status)), seen_ended()) == ["left-over container/5"]
    assert found(world(in_status(status))) == []


def test_containers_of_another_engine_are_not_expected_here() -> None:
    assert found(world(replace(CONTAINER, engine_id="engine-2"))) == []


# ---- the volume --------------------------------------------------------------------------------

HEALTHY = VolumeRecord(contexts={IMAGE.source_path}, homes={("user-1", 7): 9e9})


def volume_differences(state: State, volume: VolumeRecord) -> list[Difference]:
    return list(audit_volume(state, volume, GRACE))


def test_a_volume_with_the_contexts_of_its_images_is_healthy() -> None:
    assert volume_differences(world(), HEALTHY) == []


def test_a_context_that_is_not_there_is_found() -> None:
    (difference,) = volume_differences(world(), replace(HEALTHY, contexts=set()))

    assert (difference.kind, difference.which) == ("context", "7")


def test_the_context_of_an_image_in_deletion_may_be_gone() -> None:
    state = world(None, replace(IMAGE, status=ImageStatus.DELETING))

    assert volume_differences(state, replace(HEALTHY, contexts=set())) == []


@pytest.mark.parametrize("home", [("user-1", 8), ("user-2", 7)])
def test_a_folder_of_no_image_is_left_once_it_is_old(home: tuple[str, int]) -> None:
    young = replace(HEALTHY, homes={**HEALTHY.homes, home: GRACE - 1})
    old = replace(HEALTHY, homes={**HEALTHY.homes, home: GRACE})

    assert volume_differences(world(), young) == []
    assert [each.kind for each in volume_differences(world(), old)] == ["folder-left"]


def test_an_upload_that_nobody_receives_any_more_is_left() -> None:
    young, old = (replace(HEALTHY, incoming={"u": age}) for age in (GRACE - 1, GRACE))

    assert volume_differences(world(), young) == []
    assert [each.kind for each in volume_differences(world(), old)] == ["incoming-left"]
