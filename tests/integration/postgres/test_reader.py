"""What users see: their own, newest first, every key there, and desired as soon as it is wished."""

from dataclasses import asdict

import pytest

from application.errors import NotFound
from domain.container_status import Desired
from tests.integration.postgres.installation import Installation
from tests.integration.postgres.observations import ended, seen


def test_an_image_shows_everything_that_was_asked_for(installation: Installation) -> None:
    image_id = installation.ready_image()

    shown = asdict(installation.reader.image("user-1", image_id))

    row = installation.row("images", image_id)
    assert (shown.pop("created_at"), shown.pop("updated_at")) == (
        row["created_at"],
        row["updated_at"],
    )
    assert shown == {
        "id": image_id,
        "user_id": "user-1",
        "name": "My App",
        "tag": "latest",
        "app_hostname": "app.example.com",
        "container_port": 8080,
        "min_instances": 0,
        "max_instances": 3,
        "cpu_limit": 0.5,
        "memory_limit": "64m",
        "restart_policy": "on-failure",
        "instances_short": 0,
        "instances_short_reason": None,
        "status": "ready",
        "status_reason": None,
        "build_logs": "built",
        "build_logs_truncated": False,
        "source_path": f"user-1/{image_id}/context",
        "image_tag": f"nvidia-app-uuser-1-i{image_id}:latest",
        "image_digest": f"sha256:{row['active_build_id']}",
    }


def test_lists_hold_the_callers_own_newest_first_without_what_is_deleted(
    installation: Installation,
) -> None:
    first, second = installation.ready_image(), installation.ready_image()
    installation.ready_image("user-2", "b.example")
    older, newer = installation.create(first, 2)
    installation.wish(older, Desired.DELETED)
    (lease,) = (lease for lease in installation.claim() if lease.id == older)
    installation.outcomes(lease).deleted()

    assert [image.id for image in installation.reader.images("user-1")] == [second, first]
    assert [shown.id for shown in installation.reader.containers("user-1")] == [newer]
    assert [shown.id for shown in installation.reader.containers("user-1", first)] == [newer]
    assert installation.reader.containers("user-1", second) == []
    assert installation.reader.containers("user-3") == []


def test_a_list_of_images_leaves_the_logs_out(installation: Installation) -> None:
    installation.ready_image()

    (shown,) = installation.reader.images("user-1")

    assert (shown.build_logs, shown.build_logs_truncated) == (None, None)


def test_images_are_shown_with_how_many_containers_they_have_and_how_many_run(
    installation: Installation,
) -> None:
    image_id = installation.ready_image()
    installation.run_container(image_id)
    installation.create(image_id)

    (shown,) = installation.reader.images_with_containers("user-1")

    assert (shown.id, shown.container_count, shown.running_count) == (image_id, 2, 1)


def test_anothers_and_an_unknown_resource_are_equally_unknown(installation: Installation) -> None:
    container_id = installation.run_container()
    image_id = installation.row("containers", container_id)["image_id"]
    reader = installation.reader

    for user, image, container in (
        ("user-2", image_id, container_id),
        ("user-1", image_id + 1000, container_id + 1000),
    ):
        for look in (
            lambda user=user, image=image: reader.image(user, image),
            lambda user=user, image=image: reader.build_log(user, image),
            lambda user=user, image=image: reader.containers(user, image),
            lambda user=user, container=container: reader.container(user, container),
        ):
            with pytest.raises(NotFound):
                look()


@pytest.mark.parametrize(
    ("wished", "shown"), [(Desired.STOPPED, "stopping"), (Desired.DELETED, "deleting")]
)
def test_a_wish_shows_before_a_worker_has_taken_it_up(
    installation: Installation, wished: Desired, shown: str
) -> None:
    container_id = installation.run_container()

    installation.wish(container_id, wished)

    view = installation.reader.container("user-1", container_id)
    assert (view.status, view.desired) == (shown, wished.value)
    assert installation.row("containers", container_id)["status"] == "running"


def test_a_start_that_is_wished_shows_as_starting(installation: Installation) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, Desired.STOPPED)
    (lease,) = installation.claim()
    installation.outcomes(lease).stopped(ended(container_id))
    stopped = installation.reader.container("user-1", container_id).status

    installation.wish(container_id, Desired.RUNNING)

    assert stopped == "stopped"
    assert installation.reader.container("user-1", container_id).status == "starting"


def test_an_exited_container_shows_as_starting_only_once_it_is_started(
    installation: Installation,
) -> None:
    container_id = installation.run_container()
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    (lease,) = installation.claim()
    installation.outcomes(lease).exited(ended(container_id, exit_code=3))
    exited = installation.reader.container("user-1", container_id)

    installation.wish(container_id, Desired.RUNNING)

    assert (exited.status, exited.exit_code, exited.status_reason) == (
        "exited",
        3,
        "exited with code 3",
    )
    assert installation.reader.container("user-1", container_id).status == "starting"


def test_a_running_container_shows_where_it_is_reached(installation: Installation) -> None:
    container_id = installation.run_container()

    shown = installation.reader.container("user-1", container_id)

    assert (shown.status, shown.host, shown.external_port) == ("running", "10.0.0.1", 20000)
    assert (shown.container_id, shown.container_ip) == (seen(container_id).docker_id, "172.17.0.2")
    assert (shown.internal_port, shown.app_hostname) == (8080, "app.example.com")
    assert (shown.started_at, shown.finished_at) == (seen(container_id).started_at, None)


def test_a_build_log_is_read_live_while_the_build_runs(installation: Installation) -> None:
    image_id = installation.upload()
    (build,) = installation.rows("SELECT id, log_path FROM builds")
    installation.execute("UPDATE builds SET status = 'running', log_tail = 'stored'")
    log = installation.store.path(build["log_path"])
    log.write_text("é" * 8001)

    shown = installation.reader.build_log("user-1", image_id)

    assert (shown.status, shown.build_logs, shown.truncated) == ("building", "é" * 8000, True)


def test_progress_tells_how_far_a_wish_has_come(installation: Installation) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, Desired.DELETED)

    (before,) = installation.reader.progress_of_containers([container_id])
    (lease,) = installation.claim()
    installation.outcomes(lease).run_ended(ended(container_id))
    installation.outcomes(lease).deleted()
    (after,) = installation.reader.progress_of_containers([container_id])

    assert (before.generation, before.applied_generation, before.gone) == (2, 1, False)
    assert (after.generation, after.applied_generation, after.gone) == (2, 2, True)
