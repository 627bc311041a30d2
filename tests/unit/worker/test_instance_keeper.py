"""The worker's turn at min_instances: about once a second, and no image keeps others waiting."""

from collections.abc import Sequence
from typing import cast

import pytest

from application.errors import DatabaseUnavailable
from application.keep_instances import KeepInstances, Kept
from entrypoints.worker.instance_keeper import INTERVAL_SECONDS, InstanceKeeper


class FakeInstances:
    """Has three images that are short; the second makes trouble."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.turns = 0
        self.kept: list[int] = []

    def due(self) -> Sequence[int]:
        self.turns += 1
        return [1, 2, 3]

    def keep(self, image_id: int) -> Kept:
        if image_id == 2 and self.trouble is not None:
            raise self.trouble
        self.kept.append(image_id)
        return Kept(created=[image_id])


class Clock:
    """A clock that a test moves on."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keeper(instances: FakeInstances, clock: Clock) -> InstanceKeeper:
    return InstanceKeeper(cast(KeepInstances, instances), clock)


def test_however_often_the_loop_turns_it_is_looked_once_a_second(clock: Clock) -> None:
    instances = FakeInstances()
    turns = keeper(instances, clock)

    for _ in range(5):
        turns.take_turn()
    clock.seconds += INTERVAL_SECONDS
    turns.take_turn()

    assert instances.turns == 2
    assert instances.kept == [1, 2, 3, 1, 2, 3]


def test_an_image_that_nobody_foresaw_keeps_no_other_waiting(clock: Clock) -> None:
    instances = FakeInstances(RuntimeError("nobody foresaw this"))

    keeper(instances, clock).take_turn()

    assert instances.kept == [1, 3]


def test_a_database_that_is_away_ends_the_turn(clock: Clock) -> None:
    instances = FakeInstances(DatabaseUnavailable("away"))

    with pytest.raises(DatabaseUnavailable):
        keeper(instances, clock).take_turn()

    assert instances.kept == [1]
