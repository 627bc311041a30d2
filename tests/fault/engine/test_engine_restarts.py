"""The engine ends and comes back: in order or by kill -9, idle or in the middle of something."""

import time
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.fault.conftest import Note
from tests.fault.engine.apps import app_archive
from tests.fault.engine.behind import Behind, Event, moment

RAN = ["created", "started"]
CONTAINERS = 10


def end(behind: Behind, how: str) -> None:
    if how == "in-order":
        behind.engine.halt()
    else:
        behind.engine.kill()


def wait_until_noticed(behind: Behind) -> None:
    """Wait until the worker has told the others that its engine does not answer."""
    behind.service.wait_for("SELECT 1 FROM engines WHERE NOT reachable")


@pytest.mark.parametrize("how", ["in-order", "by-kill"])
def test_what_ran_runs_again_and_both_are_told_with_dockers_times(
    behind: Behind, note: Note, how: str
) -> None:
    containers = behind.create(CONTAINERS)
    assert {container["status"] for container in containers} == {"running"}

    end(behind, how)
    wait_until_noticed(behind)
    behind.engine.start()
    back = time.monotonic()
    for container in containers:
        behind.wait_for_status(container, "running", runs=1)
    took = time.monotonic() - back

    note(f"{CONTAINERS} containers run again {took:.1f} s after dockerd was back ({how})")
    for container in containers:
        assert behind.recorded(container) == [*RAN, "stopped", "started"]
        _, _, stopped, started = behind.told(container, 4)
        assert {stopped["cause"], started["cause"]} == {"engine_restart"}
        assert (stopped["occurred_at_source"], started["occurred_at_source"]) == ("engine",) * 2
        assert stopped["timestamp"] < started["timestamp"]
        # Both of Docker's, cut to microseconds.
        times = [started["timestamp"], stopped["timestamp"]]
        assert [moment(time) for time in times] == [moment(at) for at in behind.look(container)[:2]]
        assert started["external_port"] == container["external_port"]
    assert took < 60


def test_a_wish_during_an_outage_is_told_as_pending_and_why_and_carried_out_after_it(
    behind: Behind,
) -> None:
    stopped, deleted = behind.create(2)
    behind.engine.halt()
    wait_until_noticed(behind)
    http = behind.service.http

    answers = [
        http.post(f"/api/containers/{stopped['id']}/stop?wait=0"),
        http.delete(f"/api/containers/{deleted['id']}?wait=0"),
        http.post(f"/api/containers/{behind.image_id}?wait=0"),
    ]
    bodies: list[Event] = [answers[0].json(), answers[1].json(), answers[2].json()[0]]
    behind.engine.start()
    behind.wait_for_status(stopped, "stopped")
    behind.wait_for_told(deleted, "deleted")
    behind.wait_for_status(bodies[2], "running")

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    reasons = {body["status_reason"] for body in bodies}
    assert reasons == {"the engine is not reachable at the moment"}
    # An engine that ends in order may have told of its containers' ends before that.
    assert bodies[0]["status"] in {"stopping", "exited"}
    assert [body["status"] for body in bodies[1:]] == ["deleting", "creating"]
    # What ended with the engine was not ended by the wish, and is told once.
    assert behind.recorded(stopped) == [*RAN, "stopped"]
    assert behind.recorded(deleted) == [*RAN, "stopped", "deleted"]


def test_wishes_about_images_during_an_outage_tell_what_they_wait_for(
    behind: Behind, tmp_path: Path
) -> None:
    service, http = behind.service, behind.service.http
    deleted = service.upload(app_archive(tmp_path / "app"))
    slow = archive(make_busybox_context(tmp_path / "slow", run="sleep 60"))
    cancelled = int(service.post_image(slow).json()["id"])
    service.wait_for("SELECT 1 FROM builds WHERE image_id = %s AND status = 'running'", cancelled)
    behind.engine.halt()
    wait_until_noticed(behind)
    # The attempt ended with the engine: what waits for the next one is cancelled at once.
    service.wait_for("SELECT 1 FROM builds WHERE image_id = %s AND lease_until IS NULL", cancelled)

    deletion = http.delete(f"/api/images/{deleted}?wait=0")
    rebuild = http.post(f"/api/images/{behind.image_id}/rebuild")
    cancel = http.post(f"/api/images/{cancelled}/cancel?wait=0")
    behind.engine.start()
    rebuilt = service.wait_for_build(behind.image_id)
    service.wait_for("SELECT 1 FROM images WHERE id = %s AND status = 'deleted'", deleted)

    reason = "the engine is not reachable at the moment"
    assert _told(deletion) == (202, "deleting", reason)
    assert _told(rebuild) == (200, "building", reason)
    assert _told(cancel) == (200, "build_cancelled", "cancelled")
    assert (rebuilt["status"], rebuilt["status_reason"]) == ("ready", None)
    assert http.delete(f"/api/images/{cancelled}?wait=60").status_code == 204


def _told(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["status"], body["status_reason"]


def test_an_engine_killed_while_containers_are_made_costs_nothing_but_time(
    behind: Behind,
) -> None:
    containers = behind.create(4, wait=0)
    behind.service.wait_for(
        "SELECT 1 FROM containers WHERE id = %s AND lease_epoch > 0", containers[0]["id"]
    )

    behind.engine.kill()
    behind.engine.start()

    for container in containers:
        behind.wait_until_it_runs(container)
        told = behind.recorded(container)
        assert told[:2] == RAN
        assert told[2:] in ([], ["stopped", "started"])
    assert len(behind.service.containers_in_docker(behind.image_id)) == len(containers)


def test_an_engine_killed_in_the_middle_of_a_build_costs_an_attempt_at_most(
    behind: Behind, tmp_path: Path
) -> None:
    context = archive(make_busybox_context(tmp_path / "slow", run="sleep 4"))
    image_id = behind.service.post_image(context).json()["id"]
    behind.service.wait_for(
        "SELECT 1 FROM builds WHERE image_id = %s AND status = 'running'", image_id
    )

    behind.engine.kill()
    behind.engine.start()

    image = behind.service.wait_for_build(image_id)
    (build,) = behind.service.rows("SELECT * FROM builds WHERE image_id = %s", image_id)
    assert image["status"] == "ready", image
    assert build["attempt"] <= 2
    told = behind.service.rows(
        "SELECT type FROM events WHERE image_id = %s AND container_id IS NULL ORDER BY id", image_id
    )
    assert [row["type"] for row in told] == ["image.build_started", "image.ready"]
    assert behind.service.http.delete(f"/api/images/{image_id}?wait=60").status_code == 204
