"""min_instances: kept, replaced, and what ended by itself started again."""

import json

from domain.container_status import Desired
from domain.restart_policy import RestartPolicy
from tests.integration.worker.instances import containers, end, image, rest, rest_is_over
from tests.integration.worker.worker import Worker


def test_as_many_as_are_asked_for_are_made_from_the_image_and_told_so(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=2)

    worker.keep()

    made = containers(worker)
    causes = worker.installation.rows("SELECT payload FROM events WHERE container_id IS NOT NULL")
    assert [(row["status"], row["created_by"]) for row in made] == [
        ("running", "min_instances"),
        ("running", "min_instances"),
    ]
    assert all(row["name"].startswith("my-app-") and row["env"] == {} for row in made)
    assert {json.loads(row["payload"])["cause"] for row in causes} == {"min_instances"}
    assert image(worker, image_id).instances_short == 0
    assert worker.keep() == []


def test_nothing_is_made_before_there_is_a_good_build(worker: Worker) -> None:
    image_id = worker.installation.upload(minimum=1)

    kept = worker.installation.keep_instances()

    shown = image(worker, image_id)
    assert kept == []
    assert (shown.instances_short, shown.instances_short_reason) == (
        1,
        "the image has no good build yet",
    )


def test_a_users_own_containers_count(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=1)
    worker.installation.create(image_id)

    assert worker.installation.keep_instances() == []


def test_a_deleted_one_is_replaced_at_once(worker: Worker) -> None:
    worker.ready_image(minimum=1)
    worker.keep()
    (first,) = containers(worker)

    worker.installation.wish(first["id"], Desired.DELETED)
    worker.keep()

    (second,) = containers(worker)
    assert (second["status"], second["id"] > first["id"]) == ("running", True)


def test_one_that_vanished_is_replaced(worker: Worker) -> None:
    worker.ready_image(minimum=1)
    worker.keep()
    (first,) = containers(worker)
    worker.docker.remove(first["docker_id"])
    worker.pass_over()
    worker.pass_over()
    worker.come_due()
    worker.work()

    worker.keep()

    (second,) = containers(worker, "running")
    assert second["id"] != first["id"]


def test_what_a_higher_minimum_lacks_is_made(worker: Worker) -> None:
    image_id = worker.ready_image()

    worker.installation.change_image(image_id, min_instances=2)
    worker.keep()

    assert len(containers(worker, "running")) == 2


def never_restarted(worker: Worker, minimum: int = 1) -> int:
    image_id = worker.ready_image()
    worker.installation.change_image(
        image_id, min_instances=minimum, restart_policy=RestartPolicy.NEVER
    )
    return image_id


def test_an_exited_one_that_its_policy_leaves_alone_is_started_before_any_is_made(
    worker: Worker,
) -> None:
    image_id = never_restarted(worker)
    (container_id,) = worker.installation.create(image_id)
    worker.work()
    end(worker, container_id, 3)

    (kept,) = worker.keep()

    (told,) = worker.installation.rows(
        "SELECT payload FROM events WHERE type = 'container.started' AND sequence = 4"
    )
    assert (kept.started, kept.created) == ([container_id], [])
    assert worker.status(container_id) == "running"
    assert worker.told(container_id) == ["created", "started", "stopped", "started"]
    assert json.loads(told["payload"])["cause"] == "min_instances"


def test_an_app_that_always_ends_at_once_is_started_ever_less_often(worker: Worker) -> None:
    never_restarted(worker)
    worker.keep()
    (row,) = containers(worker)
    waits = []

    for _ in range(3):
        end(worker, row["id"])
        assert worker.keep() == []
        waits.append(round(rest(worker), -1))
        rest_is_over(worker)
        (kept,) = worker.keep()
        assert kept.started == [row["id"]]

    assert waits == [10, 20, 40]


def test_a_crash_that_the_policy_answers_is_left_to_the_policy(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=1)
    worker.keep()
    (row,) = containers(worker)

    end(worker, row["id"], 1)

    assert worker.keep() == []
    assert image(worker, image_id).instances_short == 0
