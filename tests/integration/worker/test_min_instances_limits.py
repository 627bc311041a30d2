"""min_instances beside what bounds them: max_instances, a stop, the deletion of the image."""

from collections.abc import Callable
from functools import partial

import pytest

from domain.container_status import Desired
from domain.errors import (
    BelowMinInstances,
    ImageHasLiveContainers,
    ImageNotUsable,
    InstanceLimitReached,
)
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.racing import race, raised
from tests.integration.worker.instances import containers, image
from tests.integration.worker.worker import Worker


def test_a_stopped_container_keeps_its_slot_and_the_shortfall_is_shown(worker: Worker) -> None:
    image_id = worker.ready_image(maximum=1)
    (container_id,) = worker.installation.create(image_id)
    worker.work()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    worker.installation.change_image(image_id, min_instances=1)

    kept = worker.keep()
    shown = image(worker, image_id)
    worker.installation.wish(container_id, Desired.RUNNING)
    worker.work()

    assert kept == []
    assert (shown.instances_short, shown.instances_short_reason) == (
        1,
        "max_instances=1 is reached with 1 stopped container(s)",
    )
    assert image(worker, image_id).instances_short == 0


def test_a_stop_that_would_leave_too_few_is_refused_and_a_delete_is_not(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=1)
    first, second = worker.installation.create(image_id, 2)
    worker.work()

    worker.installation.wish(first, Desired.STOPPED)
    with pytest.raises(BelowMinInstances) as refusal:
        worker.installation.wish(second, Desired.STOPPED)
    worker.installation.wish(second, Desired.DELETED)
    worker.keep()

    assert (refusal.value.min_instances, refusal.value.left) == (1, 0)
    assert worker.status(first) == "stopped"
    assert len(containers(worker, "running")) == 1


def test_workers_and_users_who_race_never_make_more_than_are_allowed(worker: Worker) -> None:
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    for number in range(4):
        image_id = worker.installation.upload(hostname=f"{number}.example", maximum=3, minimum=2)
        worker.work()

        racers: list[Callable[[], object]] = [
            worker.installation.keep_instances,
            other.installation.keep_instances,
            partial(worker.installation.create, image_id),
            partial(worker.installation.create, image_id),
            worker.installation.keep_instances,
            other.installation.keep_instances,
        ]
        results = race(racers)

        made = [row for row in containers(worker) if row["image_id"] == image_id]
        refused = raised(results, InstanceLimitReached)
        assert len(raised(results, Exception)) == len(refused)
        by_users = sum(row["created_by"] == "api" for row in made)
        assert (by_users + len(refused), 2 <= len(made) <= 3) == (2, True)
        assert sorted(row["slot"] for row in made) == list(range(1, len(made) + 1))


def test_an_image_in_deletion_gets_no_instance(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=1)
    due = list(worker.installation.rows("SELECT id FROM images"))

    worker.installation.delete_image(image_id)
    with pytest.raises(ImageNotUsable):
        worker.installation.create(image_id)
    kept = worker.installation.keep_instances()

    assert (due, kept) == ([{"id": image_id}], [])
    assert containers(worker) == []
    assert image(worker, image_id).instances_short == 0


def test_what_min_instances_made_goes_with_its_image(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=2)
    worker.keep()

    worker.installation.delete_image(image_id)
    worker.keep()

    assert worker.installation.row("images", image_id)["status"] == "deleted"
    assert worker.engine.snapshot().containers == {}


def test_what_a_user_made_keeps_its_image_unless_the_deletion_is_forced(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=2)
    worker.installation.create(image_id)
    worker.keep()

    with pytest.raises(ImageHasLiveContainers) as refusal:
        worker.installation.delete_image(image_id)
    undecided = [row["desired"] for row in containers(worker)]
    worker.installation.delete_image(image_id, force=True)
    worker.keep()

    assert (refusal.value.count, undecided) == (1, ["running", "running"])
    assert worker.installation.row("images", image_id)["status"] == "deleted"
    assert worker.engine.snapshot().containers == {}
