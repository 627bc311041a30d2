"""An audit finds nothing wherever the service alone was at work, and whatever else happened."""

import os
import shutil
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from application.engine_calls import ContainerOrder
from application.errors import EngineUnreachable
from domain.container_status import Desired
from domain.observation import Observation
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.auditor import GRACE_SECONDS, Auditor
from tests.integration.worker.worker import Worker


@pytest.fixture
def auditor(worker: Worker) -> Auditor:
    _empty_volume(worker.installation)
    return Auditor(worker)


def _empty_volume(installation: Installation) -> None:
    base = installation.store.path("")
    shutil.rmtree(base)
    installation.store.prepare()


def test_an_installation_that_nobody_uses_is_clean(auditor: Auditor) -> None:
    report = auditor.run()

    assert (report.differences, report.events, report.not_audited) == ([], 0, [])


def test_the_whole_life_of_containers_and_images_is_clean_at_every_step(
    worker: Worker, auditor: Auditor
) -> None:
    installation = worker.installation
    found = []
    image_id = worker.ready_image()
    found.append(auditor.found())
    first, second = installation.create(image_id, 2)
    worker.work()
    found.append(auditor.found())
    installation.wish(first, Desired.STOPPED)
    worker.work()
    found.append(auditor.found())
    worker.docker.end(_docker_id(worker, second), 3)
    worker.pass_over()
    found.append(auditor.found())
    installation.wish(first, Desired.RUNNING)
    installation.wish(second, Desired.DELETED)
    worker.work()
    found.append(auditor.found())
    installation.wish(first, Desired.DELETED)
    worker.work()
    installation.delete_image(image_id)
    worker.work()
    found.append(auditor.found())

    assert found == [[]] * 6
    assert installation.row("images", image_id)["status"] == "deleted"


def test_a_container_that_failed_is_clean(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container(App(exits_with=1))

    assert worker.status(container_id) == "failed"
    assert auditor.found() == []


def test_what_was_removed_behind_our_back_is_missing_until_a_pass_repairs_it(
    worker: Worker, auditor: Auditor
) -> None:
    container_id = worker.run_container()
    worker.docker.remove(_docker_id(worker, container_id))

    before = auditor.found(settle_seconds=5)
    worker.pass_over()
    worker.come_due()
    worker.pass_over()
    after = auditor.found()

    assert before == [f"missing container/{container_id}"]
    assert (worker.status(container_id), after) == ("deleted", [])


def test_a_difference_that_the_worker_repairs_in_time_is_none(
    worker: Worker, auditor: Auditor
) -> None:
    container_id = worker.run_container()
    worker.docker.end(_docker_id(worker, container_id), 1)
    auditor.meanwhile = worker.pass_over

    assert auditor.found(settle_seconds=5) == []
    assert worker.status(container_id) == "exited"


def test_what_is_under_way_is_waited_for(worker: Worker, auditor: Auditor) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())
    auditor.meanwhile = worker.work

    report = auditor.run(settle_seconds=5)

    assert (report.differences, report.in_flight) == ([], 0)
    assert worker.status(container_id) == "running"


def test_what_no_worker_brings_to_an_end_is_unsettled(worker: Worker, auditor: Auditor) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())

    assert auditor.found(settle_seconds=5) == [f"unsettled container/{container_id}"]


def test_what_a_worker_holds_is_counted_and_no_difference(worker: Worker, auditor: Auditor) -> None:
    worker.installation.create(worker.ready_image())
    worker.claim()

    report = auditor.run(settle_seconds=5)

    assert (report.differences, report.in_flight) == ([], 1)


def test_a_difference_of_what_is_held_is_unsettled(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.docker.remove(_docker_id(worker, container_id))
    worker.observe(container_id)

    (difference,) = auditor.run(settle_seconds=5).differences

    assert (difference.kind, difference.which) == ("unsettled", str(container_id))
    assert difference.detail.startswith("missing: ")


def test_a_foreign_start_and_an_end_are_seen(worker: Worker, auditor: Auditor) -> None:
    image_id = worker.ready_image()
    stopped, running = worker.installation.create(image_id, 2)
    worker.work()
    worker.installation.wish(stopped, Desired.STOPPED)
    worker.work()
    worker.docker.start(_docker_id(worker, stopped))
    worker.docker.end(_docker_id(worker, running), 0)

    assert auditor.found() == [f"does-not-run container/{running}", f"runs container/{stopped}"]


def test_a_restart_behind_our_back_is_another_run(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.docker.restart(_docker_id(worker, container_id))

    assert auditor.found() == [f"another-run container/{container_id}"]


def test_objects_of_nobody_and_of_the_deleted_are_seen(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    docker_id = _docker_id(worker, container_id)
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
    stray = worker.docker.add_image(App(), "nvidia-app-uuser-1-i999999:latest")
    worker.docker.tag(stray, public)

    assert auditor.found() == [
        f"tag image/{image_id}",
        "tag-left tag/nvidia-app-uuser-1-i999999:latest",
    ]


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


def test_a_list_that_fails_is_told_and_is_no_difference(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    worker.docker.reachable = False

    report = auditor.run(settle_seconds=2)

    assert report.differences == []
    assert report.engine_failure == str(EngineUnreachable("nobody answers at DOCKER_HOST"))


def test_a_list_that_fails_once_is_taken_again(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    worker.engine.fail_next("list_ours", EngineUnreachable("away"))

    report = auditor.run(settle_seconds=2)

    assert (report.differences, report.engine_failure) == ([], None)


def test_the_containers_of_another_engine_are_not_audited(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    former = worker.engine_id
    worker.engine.another_engine()

    report = auditor.run()

    assert (report.differences, report.audited, report.not_audited) == ([], None, [former])


class SwappingEngine(FakeContainerEngine):
    """An engine that another one replaces right after its containers were listed."""

    def list_ours(self) -> list[Observation]:
        self.another_engine()
        return super().list_ours()


def test_an_engine_that_changes_during_the_look_is_not_believed(worker: Worker) -> None:
    worker.run_container()

    report = Auditor(worker, SwappingEngine(worker.docker)).run()

    assert (report.differences, report.engine_failure) == ([], "another engine answers")


class RacedEngine(FakeContainerEngine):
    """An engine whose container is deleted, with all that follows, while it is being listed."""

    def __init__(self, worker: Worker, container_id: int) -> None:
        super().__init__(worker.docker)
        self._worker = worker
        self._container_id = container_id

    def list_ours(self) -> list[Observation]:
        listed = super().list_ours()
        self._worker.installation.wish(self._container_id, Desired.DELETED)
        self._worker.work()
        return listed


def test_what_changes_between_list_and_record_is_no_difference(worker: Worker) -> None:
    container_id = worker.run_container()

    report = Auditor(worker, RacedEngine(worker, container_id)).run()

    assert report.differences == []


def _docker_id(worker: Worker, container_id: int) -> str:
    return str(worker.installation.row("containers", container_id)["docker_id"])


def _order_like(order: ContainerOrder) -> ContainerOrder:
    return replace(order, uid=uuid.uuid4(), name="stray", external_port=29999)


def _make_old(path: Path) -> None:
    long_ago = time.time() - GRACE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
