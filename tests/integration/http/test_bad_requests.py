"""Paths, ids and create bodies that are refused, each with a problem and without a trace."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import checked_problem, upload, wrong_fields
from tests.integration.http.footprint import World

JSON = "application/json"


@pytest.fixture(scope="module")
def ready(api: object) -> dict[str, int]:
    """The id of the module's image, once it is there."""
    return {}


@pytest.fixture
def image_id(client: httpx.Client, backstage: Backstage, ready: dict[str, int]) -> int:
    if not ready:
        ready["id"] = upload(client, max_instances="10")["id"]
        backstage.build(ready["id"])
    return ready["id"]


WRONG_BODIES: list[tuple[Any, str]] = [
    ({"count": 0}, "count"),
    ({"count": -1}, "count"),
    ({"count": 11}, "count"),
    ({"count": 10**30}, "count"),
    ({"count": "2"}, "count"),
    ({"count": 1.5}, "count"),
    ({"count": True}, "count"),
    ({"count": None}, "count"),
    ({"name": ""}, "name"),
    ({"name": "-web"}, "name"),
    ({"name": "two words"}, "name"),
    ({"name": "w\u00e4b"}, "name"),
    ({"name": "w" * 64}, "name"),
    ({"name": "web\n"}, "name"),
    ({"name": 5}, "name"),
    ({"env": {"1ST": "x"}}, "env"),
    ({"env": {"": "x"}}, "env"),
    ({"env": {"A-B": "x"}}, "env"),
    ({"env": {"A=B": "x"}}, "env"),
    ({"env": {"A\n": "x"}}, "env"),
    ({"env": {"PORT": "80"}}, "env"),
    ({"env": {"A": "nul\0"}}, "env"),
    ({"env": {"A": "x" * 33_000}}, "env"),
    ({"env": {f"V{n}": "x" * 100 for n in range(400)}}, "env"),
    ({"env": {"A": 1}}, "env"),
    ({"env": {"A": None}}, "env"),
    ({"env": ["A=x"]}, "env"),
    ({"env": None}, "env"),
    ({"replicas": 2}, "replicas"),
    ({"user_id": "bob"}, "user_id"),
    ([], "body"),
    ("web", "body"),
]


@pytest.mark.parametrize(("content", "field"), WRONG_BODIES)
def test_a_wrong_create_is_refused_by_its_field(
    client: httpx.Client, image_id: int, world: World, content: Any, field: str
) -> None:
    with world.left_alone():
        response = client.post(f"/api/containers/{image_id}", json=content)

    [named] = wrong_fields(checked_problem(response, 422, "invalid-request"))
    assert named.split("[")[0] == field


@pytest.mark.parametrize(
    "content", [b"null", b"1", b'"{}"', b"[" * 100_000], ids=["null", "number", "text", "deep"]
)
def test_json_that_is_no_object_is_refused(
    client: httpx.Client, image_id: int, world: World, content: bytes
) -> None:
    with world.left_alone():
        response = client.post(
            f"/api/containers/{image_id}", content=content, headers={"Content-Type": JSON}
        )

    assert wrong_fields(checked_problem(response, 422, "invalid-request")) == ["body"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'count': 1}",
        b'{"count": 1}}',
        b'{"name": "\xff"}',
        b'{"env": {"A": "\\ud800"}}',
        b"count=1",
        b" ",
    ],
    ids=lambda content: content[:12],
)
def test_a_body_that_is_no_json_is_400(
    client: httpx.Client, image_id: int, world: World, content: bytes
) -> None:
    with world.left_alone():
        response = client.post(
            f"/api/containers/{image_id}", content=content, headers={"Content-Type": JSON}
        )

    checked_problem(response, 400, "malformed-json")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/jsonp", "multipart/form-data"]
)
def test_a_body_of_another_type_is_415(
    client: httpx.Client, image_id: int, world: World, content_type: str
) -> None:
    with world.left_alone():
        response = client.post(
            f"/api/containers/{image_id}",
            content=b'{"count": 1}',
            headers={"Content-Type": content_type},
        )

    checked_problem(response, 415, "unsupported-media-type")


def test_a_body_that_is_too_large_is_413(client: httpx.Client, image_id: int, world: World) -> None:
    content = json.dumps({"env": {"A": "x" * 300_000}}).encode()

    with world.left_alone():
        responses = [
            client.post(f"/api/containers/{image_id}", content=sent, headers={"Content-Type": JSON})
            for sent in (content, iter([content[:100_000], content[100_000:]]))
        ]

    for response in responses:
        checked_problem(response, 413, "body-too-large")


def test_json_of_a_named_charset_and_the_largest_env_are_taken(
    client: httpx.Client, image_id: int, backstage: Backstage
) -> None:
    largest = {"A": "\u00e4" * ((32 * 1024 - 3) // 2)}

    response = client.post(
        f"/api/containers/{image_id}?wait=0",
        content=json.dumps({"env": largest}).encode(),
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )

    backstage.work_off(image_id)
    assert response.status_code == 202


@pytest.mark.parametrize(
    "text",
    [
        "0", "-1", "+1", "1.0", "1e3", "abc", "0x1", "9223372036854775808", "9" * 400,
        "%D9%A1", "%C2%B2", "1%20", "%201", "1%00", "1_0", "..", "%2e%2e", "1%2F2",
    ],
)  # fmt: skip
def test_what_is_no_id_is_404(client: httpx.Client, image_id: int, world: World, text: str) -> None:
    with world.left_alone():
        responses = [
            client.request(method, path.replace("ID", text))
            for method, path in (
                ("GET", "/api/images/ID"),
                ("DELETE", "/api/images/ID"),
                ("GET", "/api/images/ID/build-logs"),
                ("GET", "/api/images/ID/containers"),
                ("POST", "/api/containers/ID"),
                ("GET", "/api/containers/ID"),
                ("DELETE", "/api/containers/ID"),
                ("POST", "/api/containers/ID/start"),
                ("POST", "/api/containers/ID/stop"),
            )
            if text not in {"..", "%2e%2e"} or path.endswith(("start", "stop", "build-logs"))
        ]

    for response in responses:
        checked_problem(response, 404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/api", "/api/", "/api/image", "/api/images/1/", "/api/images/1/logs", "/docs",
        "/api/containers/1/restart", "//api/images", "/api/containers//", "/%00", "/static/../x",
    ],
)  # fmt: skip
def test_an_unknown_path_is_a_problem_and_no_redirect(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = client.request(method, path, follow_redirects=False)

        checked_problem(response, 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/images"),
        ("PUT", "/api/images/1"),
        ("DELETE", "/api/images"),
        ("POST", "/api/images/1/build-logs"),
        ("POST", "/api/images/with-containers"),
        ("POST", "/api/containers"),
        ("POST", "/api/containers/"),
        ("PUT", "/api/containers/1"),
        ("GET", "/api/containers/1/start"),
        ("DELETE", "/api/containers/1/stop"),
        ("POST", "/healthz"),
        ("OPTIONS", "/api/images"),
        ("TRACE", "/api/images"),
    ],
)
def test_a_wrong_method_is_a_problem_that_tells_the_right_ones(
    client: httpx.Client, world: World, method: str, path: str
) -> None:
    with world.left_alone():
        response = client.request(method, path)

    checked_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"]


def test_the_right_methods_of_a_path_are_all_told(client: httpx.Client) -> None:
    allowed = {
        path: set(client.put(path).headers["allow"].split(", "))
        for path in ("/api/images", "/api/images/1", "/api/containers/1", "/api/containers")
    }

    assert allowed == {
        "/api/images": {"GET", "HEAD", "POST"},
        "/api/images/1": {"GET", "HEAD", "PATCH", "DELETE"},
        "/api/containers/1": {"GET", "HEAD", "POST", "DELETE"},
        "/api/containers": {"GET", "HEAD"},
    }


@pytest.mark.parametrize("given", ["order-66", "a" * 128, "01.A_b:c-d"])
def test_a_request_id_is_echoed(client: httpx.Client, given: str) -> None:
    for path in ("/api/images", "/api/images/4711", "/nowhere", "/healthz"):
        response = client.get(path, headers={"X-Request-Id": given})

        assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "a" * 129, "two words", "<b>", "\xe4"])
def test_a_request_without_a_fit_id_gets_one(client: httpx.Client, given: str | None) -> None:
    headers = [] if given is None else [(b"X-Request-Id", given.encode("latin-1"))]

    ids = {client.get("/api/images", headers=headers).headers["x-request-id"] for _ in range(2)}

    assert len(ids) == 2
    assert given not in ids
