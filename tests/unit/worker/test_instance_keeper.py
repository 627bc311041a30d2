"""The worker's turn at min_instances: on a thread of its own, and no image keeps others waiting."""

import threading
from collections.abc import Sequence
from typing import cast

import pytest

from application.errors import DatabaseUnavailable
from application.keep_instances import KeepInstances, Kept
from entrypoints.worker import instance_keeper
from entrypoints.worker.instance_keeper import InstanceKeeper


class FakeInstances:
    """Has three images that are short; the second makes trouble, or the look at all of them."""

    def __init__(
        self, trouble: Exception | None = None, *, at_first: Exception | None = None
    ) -> None:
        self.trouble = trouble
        self.at_first = at_first
        self.kept: list[int] = []
        self.all_kept = threading.Event()

    def due(self) -> Sequence[int]:
        if self.at_first is not None:
            trouble, self.at_first = self.at_first, None
            raise trouble
        return [1, 2, 3]

    def keep(self, image_id: int) -> Kept:
        if image_id == 2 and self.trouble is not None:
            raise self.trouble
        self.kept.append(image_id)
        if image_id == 3:
            self.all_kept.set()
        return Kept(created=[image_id])


def keeper(instances: FakeInstances) -> InstanceKeeper:
    return InstanceKeeper(cast(KeepInstances, instances))


@pytest.mark.parametrize("trouble", [DatabaseUnavailable("away"), RuntimeError("unforeseen"), None])
def test_every_image_is_seen_to_whatever_became_of_an_earlier_turn(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    monkeypatch.setattr(instance_keeper, "INTERVAL_SECONDS", 0.01)
    instances = FakeInstances(at_first=trouble)
    turns = keeper(instances)

    turns.start()
    seen_to = instances.all_kept.wait(10)
    turns.close()

    assert seen_to
    assert instances.kept[:3] == [1, 2, 3]


def test_an_image_that_nobody_foresaw_keeps_no_other_waiting() -> None:
    instances = FakeInstances(RuntimeError("nobody foresaw this"))

    keeper(instances).take_turn()

    assert instances.kept == [1, 3]


def test_a_database_that_is_away_ends_the_turn() -> None:
    instances = FakeInstances(DatabaseUnavailable("away"))

    with pytest.raises(DatabaseUnavailable):
        keeper(instances).take_turn()

    assert instances.kept == [1]
