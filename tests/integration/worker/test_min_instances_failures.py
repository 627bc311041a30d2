"""min_instances that do not come up: slowed down by failures, shown, and tried again."""

from application.errors import EngineRefused
from tests.integration.worker.instances import CRASHES, containers, image, rest, rest_is_over
from tests.integration.worker.worker import Worker


def test_one_that_fails_is_replaced_after_a_rest_by_the_databases_clock(worker: Worker) -> None:
    image_id = worker.ready_image(CRASHES, minimum=1)

    worker.keep()
    resting = worker.keep()
    first_rest = rest(worker)
    rest_is_over(worker)
    worker.keep()
    second_rest = rest(worker)

    shown = image(worker, image_id)
    assert resting == []
    assert (round(first_rest, -1), round(second_rest, -1)) == (10, 20)
    assert (shown.status, shown.instances_short) == ("ready", 1)
    assert shown.instances_short_reason is not None
    assert shown.instances_short_reason.startswith("next attempt at 20")
    assert shown.instances_short_reason.endswith(
        "after 2 failure(s): exited with code 1 before port 8080 answered"
    )


def test_of_those_that_failed_the_newest_stays_to_tell_why(worker: Worker) -> None:
    worker.ready_image(CRASHES, minimum=3)

    worker.keep()
    worker.keep()
    (first,) = containers(worker)
    rest_is_over(worker)
    worker.keep()
    worker.keep()

    (second,) = containers(worker)
    assert (first["status"], second["status"]) == ("failed", "failed")
    assert second["id"] > first["id"]
    assert worker.told(first["id"]) == ["failed", "deleted"]


def test_what_a_user_made_and_failed_stays(worker: Worker) -> None:
    image_id = worker.ready_image(CRASHES)
    worker.installation.create(image_id, 2)
    worker.work()

    worker.installation.change_image(image_id, min_instances=1)
    worker.keep()
    worker.keep()

    assert [row["created_by"] for row in containers(worker, "failed")] == [
        "api",
        "api",
        "min_instances",
    ]


def test_after_a_failure_one_is_tried_and_when_it_comes_up_the_others_follow(
    worker: Worker,
) -> None:
    worker.ready_image(minimum=3)
    for _ in range(3):
        worker.engine.fail_next("start", EngineRefused("no such command"))

    worker.keep()
    rest_is_over(worker)
    (tried,) = worker.installation.keep_instances()
    waiting = worker.installation.keep_instances()
    worker.work()
    worker.keep()

    (row,) = worker.installation.rows("SELECT * FROM images")
    assert (len(tried.created), waiting) == (1, [])
    assert len(containers(worker, "running")) == 3
    assert (row["replenish_failures"], row["replenish_after"], row["replenish_reason"]) == (
        0,
        None,
        None,
    )


def test_a_change_of_the_image_lets_it_be_tried_at_once(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=1)
    worker.engine.fail_next("start", EngineRefused("no such command"))
    worker.keep()

    worker.installation.change_image(image_id, memory_limit="128m")
    worker.keep()

    (row,) = containers(worker, "running")
    assert row["memory_limit"] == "128m"


def test_without_a_free_host_port_the_shortfall_is_shown_and_tried_again(worker: Worker) -> None:
    image_id = worker.ready_image(minimum=2)
    worker.installation.execute(
        "UPDATE host_ports SET free_after = 'infinity' WHERE port > "
        "(SELECT min(port) FROM host_ports)"
    )

    worker.keep()
    shown = image(worker, image_id)
    resting = worker.keep()
    worker.installation.execute("UPDATE host_ports SET free_after = now()")
    rest_is_over(worker)
    worker.keep()

    assert (shown.instances_short, resting) == (1, [])
    assert shown.instances_short_reason is not None
    assert shown.instances_short_reason.endswith("Z: no host port is free at the moment")
    assert len(containers(worker, "running")) == 2
