"""min_instances: kept, replaced, started again, slowed down by failures, never above the limit."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest
from psycopg.rows import DictRow

from application.errors import EngineRefused
from application.views import ImageView
from domain.container_status import Desired
from domain.errors import (
    BelowMinInstances,
    ImageHasLiveContainers,
    ImageNotUsable,
    InstanceLimitReached,
)
from domain.restart_policy import RestartPolicy
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.racing import race, raised
from tests.integration.worker.worker import Worker

CRASHES = App(exits_with=1)


def containers(worker: Worker, *statuses: str) -> Sequence[DictRow]:
    """Every container that is not deleted, or those in a status, in the order of their making."""
    rows = worker.installation.rows("SELECT * FROM containers ORDER BY id")
    return [row for row in rows if row["status"] in (statuses or {row["status"]} - {"deleted"})]


def image(worker: Worker, image_id: int) -> ImageView:
    return worker.installation.reader.image("user-1", image_id)


def end(worker: Worker, container_id: int, exit_code: int = 0) -> None:
    """Let the container end by itself, and be seen to have."""
    worker.docker.end(worker.installation.row("containers", container_id)["docker_id"], exit_code)
    worker.carry_out(worker.observe(container_id))


def rest(worker: Worker) -> float:
    """How many seconds the image waits before its next instance, by the database's clock."""
    (row,) = worker.installation.rows("SELECT replenish_after - now() AS wait FROM images")
    wait: timedelta | None = row["wait"]
    return 0.0 if wait is None else wait.total_seconds()


def rest_is_over(worker: Worker) -> None:
    worker.installation.execute("UPDATE images SET replenish_after = now()")


def never_restarted(worker: Worker, minimum: int = 1) -> int:
    image_id = worker.ready_image()
    worker.installation.change_image(
        image_id, min_instances=minimum, restart_policy=RestartPolicy.NEVER
    )
    return image_id


# ---- kept ----------------------------------------------------------------------------------


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


# ---- started again -------------------------------------------------------------------------


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


# ---- failures ------------------------------------------------------------------------------


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


# ---- limits --------------------------------------------------------------------------------


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


# ---- deletion ------------------------------------------------------------------------------


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
