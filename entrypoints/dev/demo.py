"""`make demo`: the whole flow on embedded defaults, told step by step; nothing is left running."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx
import psycopg

from entrypoints.dev.engine_packages import EngineMissingError
from entrypoints.dev.example_contexts import example_archive
from entrypoints.dev.guarded_process import ServerStartError
from entrypoints.dev.home_folder import FolderInUseError
from entrypoints.dev.lifecycle_consumer import LifecycleConsumer
from entrypoints.dev.postgres_programs import PostgresMissingError
from entrypoints.dev.stack import Stack, running_stack

BUILD_SECONDS = 600.0
FOLLOW_SECONDS = 0.5
EVENT_SECONDS = 30.0

_LEDGER = """
SELECT container_id, array_agg(sequence || ' ' || type ORDER BY sequence) AS events
FROM events WHERE container_id IS NOT NULL GROUP BY container_id
"""


class DemoFailed(Exception):  # noqa: N818 - what happened
    """Something in the flow was not as it should be."""


def main() -> int:
    try:
        with running_stack(say=_say) as stack:
            _run(stack)
    except (
        EngineMissingError,
        FolderInUseError,
        PostgresMissingError,
        ServerStartError,
        DemoFailed,
    ) as exc:
        print(f"demo: {exc}", file=sys.stderr)  # noqa: T201 - a command's one line
        return 1
    except KeyboardInterrupt:
        return 130
    _say("\nDone: everything that was started has ended.")
    return 0


def _run(stack: Stack) -> None:
    with httpx.Client(base_url=stack.api.url, timeout=120.0) as api:
        image = _upload(api, stack)
        _follow_build(api, image["id"])
        first, second = _create_two(api, image["id"])
        _say(f"\nPOST /api/containers/{first['id']}/stop")
        stopped = _checked(api.post(f"/api/containers/{first['id']}/stop"), 200)
        _say(f"  {stopped['name']} is {stopped['status']}, exit code {stopped['exit_code']}")
        for container in (first, second):
            _say(f"DELETE /api/containers/{container['id']}")
            _checked(api.delete(f"/api/containers/{container['id']}"), 204)
        _say(f"DELETE /api/images/{image['id']}")
        _checked(api.delete(f"/api/images/{image['id']}"), 204)
    _compare(stack)


def _upload(api: httpx.Client, stack: Stack) -> dict[str, Any]:
    _say("")
    archive = example_archive(stack.settings["DOCKER_HOST"], stack.folder, _say)
    _say(f"POST /api/images ({len(archive):,} bytes)")
    form = {"name": "Hello", "app_hostname": "hello.example", "max_instances": "2"}
    files = {"file": ("hello.tar.gz", archive)}
    image: dict[str, Any] = _checked(api.post("/api/images", data=form, files=files), 201)
    _say(f"  image {image['id']} is {image['status']}: {image['image_tag']}")
    return image


def _follow_build(api: httpx.Client, image_id: int) -> None:
    _say(f"GET /api/images/{image_id}/build-logs")
    deadline, shown = time.monotonic() + BUILD_SECONDS, ""
    while time.monotonic() < deadline:
        log = _checked(api.get(f"/api/images/{image_id}/build-logs"), 200)
        text = log["build_logs"]
        new = text.removeprefix(shown)
        for line in new.splitlines():
            _say(f"  | {line}")
        shown = text
        if log["status"] != "building":
            break
        time.sleep(FOLLOW_SECONDS)
    if log["status"] != "ready":
        raise DemoFailed(f"the image is {log['status']}")
    _say("  the image is ready")


def _create_two(api: httpx.Client, image_id: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    _say(f"\nPOST /api/containers/{image_id} (count 2)")
    created = _checked(api.post(f"/api/containers/{image_id}", json={"count": 2}), 201)
    for container in created:
        if container["status"] != "running":
            raise DemoFailed(f"{container['name']} is {container['status']}")
        address = f"http://{container['host']}:{container['external_port']}/"
        page = httpx.get(address, timeout=10.0).text.strip()
        _say(f"  {container['name']} runs; {address} says: {page}")
    refused = api.post(f"/api/containers/{image_id}")
    _say(f"  one more: {refused.status_code}, {refused.json()['detail']}")
    return created[0], created[1]


def _compare(stack: Stack) -> None:
    """Show what a consumer saw of each container, and hold it against the ledger."""
    with psycopg.connect(stack.database_url) as connection:
        ledger: dict[int, list[str]] = dict(connection.execute(_LEDGER).fetchall())
    expected = sum(len(events) for events in ledger.values())
    _say(f"\nKafka, topic {stack.settings.get('KAFKA_TOPIC', 'container-lifecycle')}:")
    with LifecycleConsumer(stack.bootstrap_servers) as consumer:
        consumer.read_until(expected, EVENT_SECONDS)
        seen = consumer.by_container()
    for container_id, events in sorted(seen.items()):
        _say(f"  container {container_id}, {events[0]['container_name']}")
        for event in events:
            _say(f"    {event['sequence']}  {event['event']:<20} {event['timestamp']}")
    told = {
        container_id: [f"{event['sequence']} {event['event']}" for event in events]
        for container_id, events in seen.items()
    }
    if told != ledger:
        raise DemoFailed(f"Kafka and ledger differ: {told} and {ledger}")
    _say(f"  the same {expected} events, in the same order, stand in the ledger")


def _checked(response: httpx.Response, status: int) -> Any:
    """Return the body if the status is the expected one."""
    if response.status_code != status:
        request = response.request
        raise DemoFailed(
            f"{request.method} {request.url.path}: {response.status_code} {response.text}"
        )
    return response.json() if response.content else None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
