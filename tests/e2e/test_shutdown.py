"""SIGTERM ends each process in under five seconds with work in flight, and nothing is lost."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.scratch_image import write_scratch_context
from entrypoints.dev.service_processes import ServiceProcess
from tests.e2e.running_service import RunningService, running_service

pytestmark = [pytest.mark.engine, pytest.mark.broker]

# 4.5 s after the signal each ends itself, whatever it waits for; the rest is a busy machine's.
BOUND_SECONDS = 8.0

# It listens when it is told to (`_let_listen`).
_LISTENS_LATE = """\
FROM scratch
COPY busybox /busybox
COPY index.html /www/index.html
STOPSIGNAL SIGKILL
CMD ["/busybox", "sh", "-c", \
     "until [ -e /listen ]; do /busybox sleep 0.1; done; exec /busybox httpd -f -p $PORT -h /www"]
"""

_BUILDS_LONG = """\
FROM scratch
COPY busybox /busybox
RUN ["/busybox", "sleep", "6"]
"""


@pytest.fixture(scope="module")
def own_service(
    new_database: Callable[[], str],
    broker: object,
    engine_host: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningService]:
    """A service whose processes may be ended."""
    bootstrap_servers: str = broker.bootstrap_servers  # type: ignore[attr-defined] # two kinds
    folder = tmp_path_factory.mktemp("own-service")
    with running_service(folder, new_database(), bootstrap_servers, engine_host) as running:
        yield running


def test_a_worker_hands_a_running_build_back_and_the_next_one_finishes_it(
    own_service: RunningService, tmp_path: Path
) -> None:
    image_id = own_service.post_image(_context(tmp_path, _BUILDS_LONG)).json()["id"]
    own_service.wait_for(
        "SELECT 1 FROM builds WHERE image_id = %s AND status = 'running'", image_id
    )

    seconds = _stopped_in(own_service.worker)
    (build,) = own_service.rows("SELECT * FROM builds WHERE image_id = %s", image_id)
    own_service.worker.start()
    image = own_service.wait_for_build(image_id)
    (finished,) = own_service.rows("SELECT * FROM builds WHERE image_id = %s", image_id)

    assert seconds < BOUND_SECONDS
    assert (build["status"], build["attempt"], build["attempts"]) == ("running", 0, 0)
    assert build["lease_until"] is None
    assert image["status"] == "ready", image
    assert (finished["attempt"], finished["attempts"]) == (1, 0)
    assert own_service.http.delete(f"/api/images/{image_id}").status_code == 204


def test_a_worker_hands_a_starting_container_back_and_the_next_one_sees_it_run(
    own_service: RunningService, tmp_path: Path
) -> None:
    image_id = own_service.upload(_context(tmp_path, _LISTENS_LATE), memory_limit="64m")
    (container,) = own_service.http.post(f"/api/containers/{image_id}?wait=0").json()
    id_ = container["id"]
    own_service.wait_for("SELECT 1 FROM containers WHERE id = %s AND lease_epoch = 1", id_)
    _until(lambda: own_service.containers_in_docker(image_id))

    seconds = _stopped_in(own_service.worker)
    (handed_back,) = own_service.rows("SELECT * FROM containers WHERE id = %s", id_)
    own_service.worker.start()
    own_service.wait_for("SELECT 1 FROM containers WHERE id = %s AND lease_epoch > 1", id_)
    _let_listen(own_service, image_id)
    own_service.wait_for("SELECT 1 FROM containers WHERE id = %s AND status = 'running'", id_)
    in_docker = own_service.containers_in_docker(image_id)
    deleted = own_service.http.delete(f"/api/containers/{id_}")

    assert seconds < BOUND_SECONDS
    assert handed_back["status"] == "creating"
    assert (handed_back["attempts"], handed_back["lease_until"]) == (0, None)
    assert len(in_docker) == 1
    assert deleted.status_code == 204
    assert [(event["sequence"], event["event"]) for event in own_service.told(id_, 4)] == [
        (1, "container.created"),
        (2, "container.started"),
        (3, "container.stopped"),
        (4, "container.deleted"),
    ]
    assert own_service.http.delete(f"/api/images/{image_id}").status_code == 204


def test_an_api_answers_what_waits_and_the_wish_is_carried_out_without_it(
    own_service: RunningService, hello_context: bytes
) -> None:
    image_id = own_service.upload(hello_context, memory_limit="64m")
    own_service.worker.stop()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(own_service.http.post, f"/api/containers/{image_id}?wait=60")
        own_service.wait_for("SELECT 1 FROM containers WHERE image_id = %s", image_id)
        seconds = _stopped_in(own_service.api)
        answer = waiting.result(timeout=5)
    own_service.api.start()
    own_service.worker.start()
    (container,) = answer.json()
    own_service.wait_for(
        "SELECT 1 FROM containers WHERE id = %s AND status = 'running'", container["id"]
    )

    assert seconds < BOUND_SECONDS
    assert answer.status_code == 202
    assert own_service.http.delete(f"/api/containers/{container['id']}").status_code == 204


def test_a_killed_worker_is_replaced_and_the_container_is_started_once(
    own_service: RunningService, tmp_path: Path
) -> None:
    image_id = own_service.upload(_context(tmp_path, _LISTENS_LATE), memory_limit="64m")
    (container,) = own_service.http.post(f"/api/containers/{image_id}?wait=0").json()
    _until(lambda: own_service.containers_in_docker(image_id))

    own_service.worker.kill()
    own_service.worker.start()
    own_service.wait_for(
        "SELECT 1 FROM containers WHERE id = %s AND lease_epoch > 1", container["id"]
    )
    _let_listen(own_service, image_id)
    own_service.wait_for(
        "SELECT 1 FROM containers WHERE id = %s AND status = 'running'", container["id"]
    )

    assert len(own_service.containers_in_docker(image_id)) == 1
    (row,) = own_service.rows("SELECT * FROM containers WHERE id = %s", container["id"])
    # Taken over, and perhaps looked at once more: Docker told of the start itself.
    assert row["lease_epoch"] >= 2
    assert row["restart_count"] == 0
    assert own_service.http.delete(f"/api/containers/{container['id']}").status_code == 204
    events = own_service.told(container["id"], 4)
    assert [event["sequence"] for event in events] == [1, 2, 3, 4]


def test_a_relay_that_was_ended_publishes_what_was_recorded_meanwhile(
    own_service: RunningService, hello_context: bytes
) -> None:
    image_id = own_service.upload(hello_context, memory_limit="64m")

    seconds = _stopped_in(own_service.relay)
    (container,) = own_service.http.post(f"/api/containers/{image_id}").json()
    # What is told of the image may have been on its way when the relay ended.
    pending = own_service.rows(
        "SELECT * FROM outbox WHERE stream = %s", f"container/{container['id']}"
    )
    own_service.relay.start()
    events = own_service.told(container["id"], 2)
    own_service.http.delete(f"/api/containers/{container['id']}")

    assert seconds < BOUND_SECONDS
    assert len(pending) == 2
    assert [event["event"] for event in events] == ["container.created", "container.started"]


def _stopped_in(process: ServiceProcess) -> float:
    started = time.monotonic()
    process.stop()
    return time.monotonic() - started


def _let_listen(service: RunningService, image_id: int) -> None:
    (docker_id,) = service.containers_in_docker(image_id)
    # It may be created and not started yet.
    _until(lambda: service.docker("ps", "--quiet", "--filter", f"id={docker_id}"))
    service.docker("exec", docker_id, "/busybox", "touch", "/listen")


def _until(found: Callable[[], object]) -> None:
    """Ask Docker again, which takes a while in itself, until it answers with something."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline


def _context(folder: Path, dockerfile: str) -> bytes:
    context = write_scratch_context(folder / "context")
    (context / "Dockerfile").write_text(dockerfile)
    return archive(context)
