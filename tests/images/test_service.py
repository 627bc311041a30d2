"""The whole service in its images, two of each process, and what becomes of it when they die."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import httpx

from entrypoints.dev.example_contexts import archive
from entrypoints.dev.scratch_image import write_scratch_context
from tests.images.conftest import say
from tests.images.service_in_containers import ServiceInContainers

_SLOW_BUILD = """\
FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
RUN ["/bin/busybox", "sleep", "6"]
STOPSIGNAL SIGKILL
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""
_READY = "SELECT 1 FROM images WHERE id = %s AND status = 'ready'"


def test_the_flow_of_the_demo_and_every_kind_of_process_killed_within_it(
    service: ServiceInContainers, tmp_path: Path
) -> None:
    context = write_scratch_context(tmp_path / "context")
    (context / "Dockerfile").write_text(_SLOW_BUILD)

    # Workers die while they build.
    image_id = service.upload(archive(context), max_instances="4", memory_limit="32m")
    service.wait_for("SELECT 1 FROM builds WHERE image_id = %s AND status = 'running'", image_id)
    service.restart("worker-1", "worker-2")
    service.wait_for(_READY, image_id)
    say("workers killed in a build: it was built")

    # All die at once while containers come up; the wish is all that is left.
    created = service.http.post(f"/api/containers/{image_id}?wait=0", json={"count": 2})
    assert created.status_code == 202, created.text
    service.restart(*service.containers)
    ids = [container["id"] for container in created.json()]
    for id_ in ids:
        service.wait_for("SELECT 1 FROM containers WHERE id = %s AND status = 'running'", id_)
    service.wait_until_healthy()
    say("everything killed while containers came up: they run")

    # Each answers on its port, whichever api is asked where that is.
    second = httpx.Client(
        base_url=service.urls[1], headers=service.http.headers, timeout=service.http.timeout
    )
    shown = second.get(f"/api/images/{image_id}/containers").json()
    pages = [
        httpx.get(f"http://{each['host']}:{each['external_port']}/", timeout=10).text
        for each in shown
    ]
    first = service.http.post(f"/api/containers/{ids[0]}/stop")
    again = service.http.post(f"/api/containers/{ids[0]}/start")
    assert pages == ["hello\n"] * 2
    assert (first.status_code, first.json()["status"]) == (200, "stopped")
    assert (again.status_code, again.json()["status"]) == (200, "running")
    assert "differences=0" in service.audit()
    say("stopped and started by one api, seen by the other; the audit is clean")

    # Relays and an api die while things are deleted.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(second.delete, f"/api/containers/{ids[0]}")
        service.restart("relay-1", "relay-2", "api-1")
        answer = deleting.result(60)
    service.containers["api-1"].wait_until_healthy()
    forced = service.http.delete(f"/api/images/{image_id}?force=true&wait=60")
    assert answer.status_code in {202, 204}
    assert forced.status_code == 204, forced.text
    service.wait_for("SELECT 1 FROM images WHERE id = %s AND status = 'deleted'", image_id)
    say("relays and an api killed while things were deleted: they are")

    second.close()
    _compare(service)
    assert "differences=0" in service.audit()
    say("every event is in Kafka, and the audit is clean")
    _end_each(service)


def _compare(service: ServiceInContainers) -> None:
    """Hold what a consumer sees against the ledger, and the ledger against what was done."""
    told = service.events(10)
    ledger = service.rows(
        "SELECT container_id, array_agg(type ORDER BY sequence) AS types,"
        " array_agg(sequence ORDER BY sequence) AS sequences"
        " FROM events WHERE container_id IS NOT NULL GROUP BY container_id ORDER BY container_id"
    )
    for row in ledger:
        seen = told[row["container_id"]]
        assert [event["event"] for event in seen] == row["types"]
        assert row["sequences"] == list(range(1, len(seen) + 1))
    first, second = (row["types"] for row in ledger)
    assert first == [
        *("container.created", "container.started", "container.stopped"),
        *("container.started", "container.stopped", "container.deleted"),
    ]
    assert second == [
        *("container.created", "container.started", "container.stopped", "container.deleted"),
    ]


def _end_each(service: ServiceInContainers) -> None:
    """SIGTERM ends each at once, with the code that README tells."""
    for name, container in service.containers.items():
        seconds = container.stop()
        code = container.state["ExitCode"]
        say(f"{name} ended in {seconds:.1f} s, exit code {code}")
        assert code == (143 if name.startswith("api") else 0)
        assert seconds < 5
