"""What may be changed of an image after its upload, and what min_instances may do for it."""

from decimal import Decimal

import pytest

from domain.errors import BelowMinInstances, ImageInDeletion, InvalidValue, MaxBelowLiveContainers
from domain.image import Image
from domain.instances import Fleet, Replenishment
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy, parsed_restart_policy
from tests.unit.domain.samples import (
    BACKOFF,
    NOON,
    after,
    deleting_image,
    ended_build,
    new_image,
    ready_image,
)

RESOURCES = ResourceLimits(Decimal(2), "1g")


def change(image: Image, minimum: int = 1, maximum: int = 2, live: int = 0) -> None:
    limits = InstanceLimits(minimum, maximum)
    image.reconfigure(limits, RESOURCES, RestartPolicy.ALWAYS, live=live, now=after(5))


def failed() -> Replenishment:
    return Replenishment(3, after(40), "exited with code 1")


def test_a_change_holds_from_then_on_and_is_no_event() -> None:
    image = ready_image()

    change(image)

    spec = image.spec
    assert (spec.instances, spec.resources) == (InstanceLimits(1, 2), RESOURCES)
    assert (spec.restart_policy, image.updated_at) == (RestartPolicy.ALWAYS, after(5))
    assert image.events == []


def test_a_change_lets_min_instances_try_again_at_once() -> None:
    image = ready_image()
    image.note_replenishment(failed())

    change(image)

    assert image.replenishment == Replenishment()
    assert image.instances_due(Fleet(), NOON) == 1


def test_a_good_build_lets_min_instances_try_again_at_once() -> None:
    image = new_image()
    image.note_replenishment(failed())

    image.record_built(ended_build(), after(1))

    assert image.replenishment == Replenishment()


def test_the_maximum_may_be_lowered_to_the_live_containers_but_not_below() -> None:
    image = ready_image()

    change(image, maximum=2, live=2)
    with pytest.raises(MaxBelowLiveContainers) as refusal:
        change(image, maximum=1, live=2)

    assert (refusal.value.requested, refusal.value.count) == (1, 2)
    assert image.spec.instances == InstanceLimits(1, 2)


def test_an_image_in_deletion_is_not_changed_and_gets_no_instance() -> None:
    image = deleting_image()
    before = image.spec

    with pytest.raises(ImageInDeletion):
        change(image)

    assert image.spec == before
    assert image.instances_due(Fleet(), NOON) == 0


def test_an_image_without_a_good_build_gets_no_instance() -> None:
    image = new_image()
    change(image)

    assert image.instances_due(Fleet(), NOON) == 0


def test_an_image_rests_after_an_instance_that_failed() -> None:
    image = ready_image()
    change(image)
    learned = image.replenishment.postponed("no port", NOON, BACKOFF)

    assert image.note_replenishment(learned)
    assert not image.note_replenishment(learned)

    assert image.instances_due(Fleet(), after(9)) == 0
    assert image.instances_due(Fleet(), after(10)) == 1


def test_a_stop_has_to_leave_enough_wished_running() -> None:
    image = ready_image()
    change(image, minimum=1)

    image.admit_stop(1)
    with pytest.raises(BelowMinInstances) as refusal:
        image.admit_stop(0)

    assert (refusal.value.min_instances, refusal.value.left) == (1, 0)


def test_slots_are_numbered_up_to_the_maximum() -> None:
    assert InstanceLimits(0, 3).free_slots({2, 7}) == [1, 3]


@pytest.mark.parametrize("policy", ["always", "on-failure", "never"])
def test_a_restart_policy_is_read_by_its_name(policy: str) -> None:
    assert parsed_restart_policy(policy).value == policy


@pytest.mark.parametrize("text", ["", "Always", "on_failure", "unless-stopped"])
def test_what_is_no_restart_policy_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        parsed_restart_policy(text)

    assert refusal.value.field == "restart_policy"
