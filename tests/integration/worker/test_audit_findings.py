"""An audit finds whatever happened behind the back of the service, and tells what it is."""

import os
import shutil
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from application.engine_calls import ContainerOrder
from application.errors import BuildFailed
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.integration.worker.auditor import GRACE_SECONDS, Auditor
from tests.integration.worker.sweeper import Sweeper, labelled
from tests.integration.worker.worker import Worker


def test_what_no_worker_will_ever_take_up_is_forgotten(worker: Worker, auditor: Auditor) -> None:
    image_id = worker.ready_image()
    build_id = worker.installation.row("images", image_id)["active_build_id"]
    stopping, exited = worker.installation.create(image_id, 2)
    worker.work()
    worker.docker.end(worker.docker_id(exited), 1)
    worker.carry_out(worker.observe(exited))
    worker.installation.wish(stopping, Desired.STOPPED)
    before = auditor.found()
    worker.installation.execute(
        "UPDATE containers SET settled_generation = generation, next_attempt_at = NULL"
    )
    worker.installation.execute("UPDATE builds SET public_tag_set = false")

    assert [line for line in before if line.startswith("forgotten")] == []
    assert set(auditor.found()) == {
        f"forgotten build/{build_id}",
        f"forgotten container/{stopping}",
        f"forgotten container/{exited}",
    }


def test_a_foreign_start_and_an_end_are_seen(worker: Worker, auditor: Auditor) -> None:
    image_id = worker.ready_image()
    stopped, running = worker.installation.create(image_id, 2)
    worker.work()
    worker.installation.wish(stopped, Desired.STOPPED)
    worker.work()
    worker.docker.start(worker.docker_id(stopped))
    worker.docker.end(worker.docker_id(running), 0)

    assert auditor.found() == [f"does-not-run container/{running}", f"runs container/{stopped}"]


def test_a_restart_behind_our_back_is_another_run(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.docker.restart(worker.docker_id(container_id))

    assert auditor.found() == [f"another-run container/{container_id}"]


def test_objects_of_nobody_and_of_the_deleted_are_seen(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    docker_id = worker.docker_id(container_id)
    worker.installation.wish(container_id, Desired.DELETED)
    held = worker.docker._containers[docker_id]
    worker.work()
    worker.docker._containers[docker_id] = held
    stray = worker.docker.create(_order_like(held.order), "test")

    assert auditor.found() == [f"left-over container/{container_id}", f"orphan docker/{stray}"]


def test_a_tag_that_points_elsewhere_and_one_left_over_are_seen(
    worker: Worker, auditor: Auditor
) -> None:
    image_id = worker.ready_image()
    public = f"nvidia-app-uuser-1-i{image_id}:latest"
    stray = labelled(worker, 999_999, 1, "nvidia-app-uuser-1-i999999:latest")
    worker.docker.tag(stray, public)

    assert auditor.found() == [
        f"tag image/{image_id}",
        "tag-left tag/nvidia-app-uuser-1-i999999:latest",
    ]


def test_what_a_build_left_is_seen_once_a_sweep_should_have_removed_it(
    worker: Worker, auditor: Auditor
) -> None:
    image_id = worker.ready_image()
    worker.installation.rebuild(image_id)
    worker.engine.fail_next("build", BuildFailed("its worker died after it was tagged"), after=True)
    worker.work()
    (failed,) = worker.installation.rows("SELECT id FROM builds WHERE status = 'failed'")
    lost = labelled(worker, image_id, failed["id"])
    young = auditor.found()

    auditor.later += timedelta(seconds=2)
    old = auditor.found()
    Sweeper(worker).run()

    assert (young, old) == (
        [],
        [
            f"build-tag-left tag/nvidia-app-uuser-1-i{image_id}:b{failed['id']}",
            f"image-left docker/{lost}",
        ],
    )
    assert auditor.found() == []


def test_a_context_that_is_gone_and_what_is_left_over_are_seen(
    worker: Worker, auditor: Auditor
) -> None:
    base = worker.installation.store.path("")
    image_id = worker.ready_image()
    shutil.rmtree(base / "user-1" / str(image_id) / "context")
    young, old = base / "user-1" / "999998", base / "user-1" / "999999"
    upload = base / ".incoming" / "forgotten"
    for folder in (young, old, upload):
        folder.mkdir()
    for folder in (old, upload):
        _make_old(folder)

    assert auditor.found() == [
        f"context image/{image_id}",
        "folder-left path/user-1/999999",
        "incoming-left path/forgotten",
    ]


def test_a_port_that_leaked_and_a_hostname_are_seen(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container(App(exits_with=1))
    worker.installation.execute(
        f"UPDATE host_ports SET container_id = {container_id} "
        f"WHERE engine_id = '{worker.engine_id}' AND port = 20030"
    )
    worker.installation.execute("INSERT INTO hostnames VALUES ('left.example', 'user-9')")

    assert auditor.found() == ["hostname-leak hostname/left.example", "port-leak port/20030"]


def test_an_event_that_is_missing_is_seen(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.installation.execute("DELETE FROM outbox")
    worker.installation.execute(
        f"DELETE FROM events WHERE container_id = {container_id} AND type = 'container.created'"
    )

    assert auditor.found() == [
        f"run stream/container/{container_id}",
        f"sequence-gap stream/container/{container_id}",
    ]


def test_a_payload_that_tells_something_else_is_seen(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.installation.execute(
        f"UPDATE events SET payload = 'rubbish' WHERE container_id = {container_id} "
        "AND type = 'container.started'"
    )

    assert {each.split()[0] for each in auditor.found()} == {
        "payload",
        "run",
        "open-run",
        "status-not-told",
    }


def test_an_outbox_row_with_another_topic_is_seen(worker: Worker, auditor: Auditor) -> None:
    worker.ready_image()
    worker.installation.execute(
        "UPDATE outbox SET topic = 'elsewhere' WHERE id = (SELECT min(id) FROM outbox)"
    )

    (difference,) = auditor.run().differences

    assert (difference.kind, difference.about) == ("outbox", "event")


def test_a_pruned_history_is_not_missed(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.DELETED)
    worker.work()
    worker.installation.execute("DELETE FROM outbox")
    worker.installation.execute(f"DELETE FROM events WHERE container_id = {container_id}")

    assert auditor.found() == []


def _order_like(order: ContainerOrder) -> ContainerOrder:
    return replace(order, uid=uuid.uuid4(), name="stray", external_port=29999)


def _make_old(path: Path) -> None:
    long_ago = time.time() - GRACE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
