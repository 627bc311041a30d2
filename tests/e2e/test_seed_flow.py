"""The seed's flow through the real processes, seen by curl's eyes and an independent consumer's."""

from __future__ import annotations

import concurrent.futures
import json
import time
from pathlib import Path

import httpx
import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.scratch_image import write_scratch_context
from tests.contracts.subjects import wait_until
from tests.e2e.running_service import RunningService

pytestmark = [pytest.mark.engine, pytest.mark.broker]


def test_a_container_lives_from_create_to_delete_and_kafka_hears_each_step_in_order(
    service: RunningService, hello_image: int
) -> None:
    created = service.http.post(f"/api/containers/{hello_image}", json={"env": {"A": "1"}})
    (container,) = created.json()
    page = httpx.get(f"http://{container['host']}:{container['external_port']}/", timeout=10)
    id_ = container["id"]
    stopped = service.http.post(f"/api/containers/{id_}/stop")
    again = service.http.post(f"/api/containers/{id_}/stop")
    started = service.http.post(f"/api/containers/{id_}/start")
    page_again = httpx.get(f"http://{container['host']}:{container['external_port']}/", timeout=10)
    deleted = service.http.delete(f"/api/containers/{id_}")

    assert created.status_code == 201
    assert container["status"] == "running"
    assert page.text == page_again.text == "hello\n"
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    assert (again.status_code, again.json()) == (200, stopped.json())
    assert (started.status_code, started.json()["status"]) == (200, "running")
    assert started.json()["external_port"] == container["external_port"]
    assert deleted.status_code == 204
    assert service.http.get(f"/api/containers/{id_}").status_code == 404
    events = service.told(id_, 6)
    assert [(event["sequence"], event["event"]) for event in events] == [
        (1, "container.created"),
        (2, "container.started"),
        (3, "container.stopped"),
        (4, "container.started"),
        (5, "container.stopped"),
        (6, "container.deleted"),
    ]
    assert {event["container_id"] for event in events} == {container["container_id"]}
    first_run, second_run = events[1]["run_id"], events[3]["run_id"]
    assert first_run != second_run
    assert [event["run_id"] for event in events[1:5]] == [first_run] * 2 + [second_run] * 2
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_twenty_parallel_creates_at_a_limit_of_five_make_exactly_five_containers(
    service: RunningService, hello_image: int
) -> None:
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda _: service.http.post(f"/api/containers/{hello_image}?wait=120"), range(20)
            )
        )
    made = [answer.json()[0] for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 409]
    in_docker = service.containers_in_docker(hello_image)
    for container in made:
        service.http.delete(f"/api/containers/{container['id']}?wait=60")

    assert len(made) == 5
    assert len(refused) == 15
    assert all(answer.json()["left"] == 0 for answer in refused)
    assert {container["status"] for container in made} == {"running"}
    assert len({container["external_port"] for container in made}) == 5
    assert sorted(in_docker) == sorted(container["container_id"] for container in made)
    for container in made:
        events = service.told(container["id"], 2)
        assert [(event["sequence"], event["event"]) for event in events[:2]] == [
            (1, "container.created"),
            (2, "container.started"),
        ]
    assert service.containers_in_docker(hello_image) == []


def test_limits_port_variable_and_labels_reach_docker(
    service: RunningService, hello_image: int
) -> None:
    (container,) = service.http.post(
        f"/api/containers/{hello_image}", json={"name": "named", "env": {"GREETING": "a=b\nc"}}
    ).json()
    inspected = json.loads(service.docker("inspect", container["container_id"]))[0]
    service.http.delete(f"/api/containers/{container['id']}")

    host, config = inspected["HostConfig"], inspected["Config"]
    assert host["Memory"] == host["MemorySwap"] == 64 * 1024**2
    assert host["NanoCpus"] == 250_000_000
    assert host["RestartPolicy"]["Name"] == "no"
    assert {"PORT=8080", "GREETING=a=b\nc"} <= set(config["Env"])
    assert inspected["Name"].startswith("/named-")
    assert config["Labels"]["orchestrator.image_id"] == str(hello_image)
    assert config["Image"].startswith("sha256:")


def test_an_app_that_ends_at_once_is_shown_failed_and_leaves_nothing(
    service: RunningService, tmp_path: Path
) -> None:
    context = _context(tmp_path, 'CMD ["/busybox", "sh", "-c", "echo out of luck; exit 3"]')
    image_id = service.upload(context)

    created = service.http.post(f"/api/containers/{image_id}")

    (container,) = created.json()
    assert created.status_code == 201
    assert container["status"] == "failed"
    assert container["exit_code"] == 3
    assert "exited with code 3" in container["status_reason"]
    assert container["last_log_lines"].strip() == "out of luck"
    assert container["external_port"] is None
    assert service.containers_in_docker(image_id) == []
    assert [event["event"] for event in service.told(container["id"], 1)] == ["container.failed"]
    # Its slot is free: the limit is one, and another may be tried.
    assert service.http.post(f"/api/containers/{image_id}?wait=0").status_code == 202
    for other in service.http.get(f"/api/images/{image_id}/containers").json():
        assert service.http.delete(f"/api/containers/{other['id']}").status_code == 204
    assert service.http.delete(f"/api/images/{image_id}").status_code == 204


def test_an_app_that_never_listens_fails_after_the_startup_timeout(
    service: RunningService, tmp_path: Path
) -> None:
    image_id = service.upload(_context(tmp_path, 'CMD ["/busybox", "sleep", "1000"]'))

    created = service.http.post(f"/api/containers/{image_id}?wait=60")

    assert created.status_code == 201
    assert created.json()[0]["status"] == "failed"
    assert "did not listen on port 8080 within 20 seconds" in created.json()[0]["status_reason"]
    assert service.containers_in_docker(image_id) == []
    assert service.http.delete(f"/api/images/{image_id}").status_code == 204


def test_a_build_that_fails_tells_why_and_its_image_can_be_deleted(
    service: RunningService, tmp_path: Path
) -> None:
    context = _context(tmp_path, 'RUN ["/busybox", "sh", "-c", "echo no such luck; exit 7"]')
    answer = service.post_image(context)
    image = service.wait_for_build(answer.json()["id"])

    logs = service.http.get(f"/api/images/{image['id']}/build-logs").json()
    refused = service.http.post(f"/api/containers/{image['id']}")
    deleted = service.http.delete(f"/api/images/{image['id']}")

    assert image["status"] == "build_failed"
    assert "exit code: 7" in image["status_reason"]
    assert "no such luck" in logs["build_logs"]
    assert refused.status_code == 409
    assert deleted.status_code == 204


def test_deleting_an_image_removes_its_tags_and_its_context(
    service: RunningService, hello_context: bytes
) -> None:
    image_id = service.upload(hello_context, tag="v2")
    image = service.http.get(f"/api/images/{image_id}").json()
    service.wait_for("SELECT 1 FROM builds WHERE image_id = %s AND public_tag_set", image_id)
    tags_before = service.tags_in_docker(image_id)
    folder = Path(service.settings["BUILD_CONTEXT_BASE_DIR"], "1", str(image_id))
    (container,) = service.http.post(f"/api/containers/{image_id}").json()

    refused = service.http.delete(f"/api/images/{image_id}")
    service.http.delete(f"/api/containers/{container['id']}")
    deleted = service.http.delete(f"/api/images/{image_id}")

    assert image["image_tag"] == f"nvidia-app-u1-i{image_id}:v2"
    assert len(tags_before) == 2
    assert refused.status_code == 409
    assert refused.json()["live_containers"] == 1
    assert deleted.status_code == 204
    assert service.tags_in_docker(image_id) == []
    assert not folder.exists()
    assert service.http.get(f"/api/images/{image_id}").status_code == 404


def test_deleting_an_image_cancels_its_running_build_and_no_process_of_it_is_left(
    service: RunningService, tmp_path: Path
) -> None:
    context = _context(tmp_path, 'RUN ["/busybox", "sleep", "98765"]')
    image_id = service.post_image(context).json()["id"]
    service.wait_for("SELECT 1 FROM builds WHERE image_id = %s AND status = 'running'", image_id)
    _wait_for_process("sleep 98765")

    deleted = service.http.delete(f"/api/images/{image_id}?wait=60")

    assert deleted.status_code == 204
    # BuildKit ends the step's process once its client has gone.
    wait_until(lambda: not _processes("sleep 98765"))
    types = service.rows(
        "SELECT type FROM events WHERE stream = %s ORDER BY id", f"image/{image_id}"
    )
    assert [row["type"] for row in types] == [
        "image.build_started",
        "image.build_cancelled",
        "image.deleted",
    ]


def _context(folder: Path, instruction: str) -> bytes:
    context = write_scratch_context(folder / "context")
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY busybox /busybox\n{instruction}\n")
    return archive(context)


def _processes(command: str) -> list[str]:
    """Return the processes of this machine, those in containers and builds too, that run it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if command in line:
            found.append(process.name)
    return found


def _wait_for_process(command: str) -> None:
    deadline = time.monotonic() + 60
    while not _processes(command):
        assert time.monotonic() < deadline, command
