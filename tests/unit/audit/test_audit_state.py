"""Each rule that transactions hold together is looked at; a healthy state passes all of them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from application.audit.audit_state import audit_state
from application.audit.records import HeldPort, State
from domain.build import BuildStatus
from domain.container_status import ContainerStatus
from domain.image_status import ImageStatus
from tests.unit.audit.worlds import BUILD, CONTAINER, ENGINE, IMAGE, in_status, world

GONE = (ContainerStatus.FAILED, ContainerStatus.DELETED)
LIVE = tuple(status for status in ContainerStatus if status not in GONE)


def found(state: State) -> Iterator[str]:
    return (f"{each.kind} {each.about}/{each.which}" for each in audit_state(state))


@pytest.mark.parametrize("status", LIVE)
def test_a_live_container_with_slot_and_port_is_healthy(status: ContainerStatus) -> None:
    assert list(found(world(in_status(status)))) == []


@pytest.mark.parametrize("status", GONE)
def test_one_that_is_over_without_either_is_healthy(status: ContainerStatus) -> None:
    assert list(found(world(in_status(status), ports=[]))) == []


def test_one_that_failed_and_is_deleted_has_given_both_back() -> None:
    container = in_status(ContainerStatus.DELETING, slot=None, external_port=None)

    assert list(found(world(container, ports=[]))) == []


@pytest.mark.parametrize("status", GONE)
def test_a_port_of_what_is_over_is_a_leak(status: ContainerStatus) -> None:
    assert list(found(world(in_status(status)))) == ["port-leak port/20001"]


def test_a_port_of_nobody_is_a_leak() -> None:
    ports = [HeldPort(ENGINE, 20001, 5), HeldPort(ENGINE, 20002, 99)]

    assert list(found(world(ports=ports))) == ["port-leak port/20002"]


@pytest.mark.parametrize(
    "ports",
    [
        [],
        [HeldPort(ENGINE, 20002, 5)],
        [HeldPort("engine-2", 20001, 5)],
        [HeldPort(ENGINE, 20001, 5), HeldPort(ENGINE, 20002, 5)],
    ],
)
def test_a_live_container_holds_just_its_port(ports: list[HeldPort]) -> None:
    assert list(found(world(ports=ports))) == ["port container/5"]


def test_a_live_container_without_a_slot_is_found() -> None:
    assert list(found(world(replace(CONTAINER, slot=None)))) == ["slot container/5"]


def test_one_that_is_over_and_kept_its_slot_is_found() -> None:
    container = in_status(ContainerStatus.DELETED, slot=1)

    assert list(found(world(container, ports=[]))) == ["slot-leak container/5"]


def test_two_containers_in_one_slot_are_found() -> None:
    second = replace(CONTAINER, id=6, external_port=20002)
    state = world(
        containers={5: CONTAINER, 6: second},
        ports=[HeldPort(ENGINE, 20001, 5), HeldPort(ENGINE, 20002, 6)],
    )

    assert list(found(state)) == ["slot image/7"]


def test_more_containers_than_max_instances_are_found() -> None:
    second = replace(CONTAINER, id=6, slot=2, external_port=20002)
    state = world(
        image=replace(IMAGE, max_instances=1),
        containers={5: CONTAINER, 6: second},
        ports=[HeldPort(ENGINE, 20001, 5), HeldPort(ENGINE, 20002, 6)],
    )

    assert list(found(state)) == ["max-instances image/7"]


def test_a_container_of_no_image_is_found() -> None:
    assert "unknown-image image/7" in found(world(images={}, hostnames={}))


@pytest.mark.parametrize("hostnames", [{}, {"app.example.com": "user-2"}])
def test_a_hostname_that_its_image_does_not_hold_is_found(hostnames: dict[str, str]) -> None:
    assert list(found(world(hostnames=hostnames))) == ["hostname hostname/app.example.com"]


def test_a_hostname_that_no_image_holds_is_found() -> None:
    deleted = replace(IMAGE, status=ImageStatus.DELETED)

    assert list(found(world(None, deleted))) == ["hostname-leak hostname/app.example.com"]


@pytest.mark.parametrize(
    "build",
    [
        replace(BUILD, status=BuildStatus.FAILED),
        replace(BUILD, image_id=8),
        replace(BUILD, id=71),
    ],
)
def test_an_active_build_that_is_no_good_build_of_the_image_is_found(build: object) -> None:
    state = world(builds={build.id: build})  # type: ignore[attr-defined] # a BuildRecord

    assert list(found(state)) == ["active-build image/7"]


def test_what_a_deleted_image_left_is_found() -> None:
    deleted = replace(IMAGE, status=ImageStatus.DELETED, leased=True)
    state = world(
        image=deleted,
        hostnames={},
        builds={70: replace(BUILD, status=BuildStatus.RUNNING)},
    )

    assert list(found(state)) == ["deleted-image image/7"] * 3


def test_a_deleted_image_that_left_nothing_is_healthy() -> None:
    deleted = replace(IMAGE, status=ImageStatus.DELETED)
    state = world(in_status(ContainerStatus.DELETED), deleted, hostnames={}, ports=[])

    assert list(found(state)) == []
