"""The api under test: its process, its callers, and what its answers have to look like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from entrypoints.dev.ports import free_ports
from tests.integration.http.uploads import CONTENT_TYPE, good_body

SECRET = "the gateway's secret"

IMAGE_KEYS = {
    "id", "user_id", "name", "tag", "app_hostname", "container_port", "min_instances",
    "max_instances", "cpu_limit", "memory_limit", "restart_policy", "instances_short",
    "instances_short_reason", "status", "status_reason", "build_logs",
    "build_logs_truncated", "source_path", "image_tag", "image_digest", "created_at", "updated_at",
}  # fmt: skip
CONTAINER_KEYS = {
    "id", "image_id", "user_id", "name", "status", "status_reason", "desired", "container_id",
    "container_ip", "host", "internal_port", "external_port", "app_hostname", "exit_code",
    "oom_killed", "restart_policy", "restart_count", "crash_count", "next_restart_at",
    "last_log_lines", "created_at", "started_at", "finished_at",
}  # fmt: skip


def api_settings(database_url: str, volume: Path, **overrides: str) -> dict[str, str]:
    """The environment of an api that can reach neither Docker nor Kafka."""
    return {
        "DATABASE_URL": database_url,
        "BUILD_CONTEXT_BASE_DIR": str(volume),
        "PORT": str(free_ports(1)[0]),
        "BIND_HOST": "127.0.0.1",
        "AUTH_MODE": "gateway",
        "GATEWAY_SECRET": SECRET,
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "PATH": "/nowhere",
        **overrides,
    }


def caller(url: str, user_id: str = "ada") -> httpx.Client:
    """A client that the gateway has authenticated as this user."""
    headers = {"X-User-Id": user_id, "X-Gateway-Secret": SECRET}
    return httpx.Client(base_url=url, headers=headers, timeout=60.0, trust_env=False)


def upload(client: httpx.Client, **overrides: str | None) -> Any:
    """Upload a good archive; returns the new image."""
    response = client.post(
        "/api/images", content=good_body(**overrides), headers={"Content-Type": CONTENT_TYPE}
    )
    assert response.status_code == 201, response.text
    return response.json()


def checked_problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """Assert that the answer is this problem, in the form that RFC 9457 and we ask for."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:orchestrator:problem:{name}"
    assert problem["title"]
    assert problem["status"] == status
    assert isinstance(problem["detail"], str)
    assert problem["detail"]
    assert "Traceback" not in response.text
    if status == 422:
        assert problem["errors"]
        for error in problem["errors"]:
            assert error.keys() == {"field", "message"}
            assert error["message"]
    return problem


def wrong_fields(problem: Mapping[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]
