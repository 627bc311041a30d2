"""Who is not authenticated learns nothing, not even which part was wrong."""

from pathlib import Path

import httpx
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.edge import SECRET, api_settings, caller, checked_problem
from tests.integration.http.footprint import World
from tests.integration.http.uploads import CONTENT_TYPE, good_body

USER, GATEWAY = "X-User-Id", "X-Gateway-Secret"

ENDPOINTS = [
    ("GET", "/api/images"),
    ("POST", "/api/images"),
    ("GET", "/api/images/with-containers"),
    ("GET", "/api/images/1"),
    ("GET", "/api/images/1/build-logs"),
    ("GET", "/api/images/1/containers"),
    ("PATCH", "/api/images/1"),
    ("DELETE", "/api/images/1"),
    ("POST", "/api/containers/1"),
    ("GET", "/api/containers"),
    ("GET", "/api/containers/"),
    ("GET", "/api/containers/1"),
    ("POST", "/api/containers/1/start"),
    ("POST", "/api/containers/1/stop"),
    ("DELETE", "/api/containers/1"),
]

REFUSED: dict[str, list[tuple[str, str]]] = {
    "nothing at all": [],
    "no secret": [(USER, "ada")],
    "no user": [(GATEWAY, SECRET)],
    "a wrong secret": [(USER, "ada"), (GATEWAY, "guess")],
    "an empty secret": [(USER, "ada"), (GATEWAY, "")],
    "half of the secret": [(USER, "ada"), (GATEWAY, SECRET[:-1])],
    "a longer secret": [(USER, "ada"), (GATEWAY, SECRET + "x")],
    "the secret twice": [(USER, "ada"), (GATEWAY, SECRET), (GATEWAY, SECRET)],
    "a guess and the secret": [(USER, "ada"), (GATEWAY, "guess"), (GATEWAY, SECRET)],
    "the user twice": [(USER, "ada"), (USER, "ada"), (GATEWAY, SECRET)],
    "two users": [(USER, "ada"), (USER, "bob"), (GATEWAY, SECRET)],
    "users joined by a comma": [(USER, "ada, bob"), (GATEWAY, SECRET)],
    "an empty user": [(USER, ""), (GATEWAY, SECRET)],
    "a user in capitals": [(USER, "Ada"), (GATEWAY, SECRET)],
    "a user that is a path": [(USER, "../ada"), (GATEWAY, SECRET)],
    "a user with an underscore": [(USER, "a_b"), (GATEWAY, SECRET)],
    "a user that ends in a hyphen": [(USER, "ada-"), (GATEWAY, SECRET)],
    "a user that is too long": [(USER, "a" * 65), (GATEWAY, SECRET)],
}


@pytest.fixture
def anybody(api: ServiceProcess) -> httpx.Client:
    return httpx.Client(base_url=api.url, trust_env=False)


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
def test_a_request_is_refused_without_a_word_on_what_was_wrong(
    anybody: httpx.Client, world: World, headers: list[tuple[str, str]]
) -> None:
    with anybody, world.left_alone():
        refused = anybody.post(
            "/api/images",
            content=good_body(),
            headers=[*headers, ("Content-Type", CONTENT_TYPE)],
        )
        listed = anybody.get("/api/images", headers=headers)

    for response in (refused, listed):
        problem = checked_problem(response, 401, "unauthenticated")
        assert problem["detail"] == "the request is not authenticated"
        assert problem.keys() == {"type", "title", "status", "detail"}


def test_bytes_that_are_no_ascii_are_refused_as_well(anybody: httpx.Client) -> None:
    with anybody:
        for headers in (
            [(USER, "ada"), (GATEWAY, "s\xe4cret")],
            [(USER, "\xe4da"), (GATEWAY, SECRET)],
        ):
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]

            checked_problem(anybody.get("/api/images", headers=raw), 401, "unauthenticated")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_endpoint_asks_who_it_is(anybody: httpx.Client, method: str, path: str) -> None:
    with anybody:
        response = anybody.request(method, path)

    checked_problem(response, 401, "unauthenticated")


def test_health_is_told_to_anybody(anybody: httpx.Client) -> None:
    with anybody:
        alive, ready = anybody.get("/healthz"), anybody.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_a_longest_user_id_of_every_kind_of_character_is_taken(api: ServiceProcess) -> None:
    with caller(api.url, "0" + "-a1" * 21) as client:
        assert client.get("/api/images").json() == []


def test_without_authentication_every_caller_is_the_developer(
    module_database: str, volume: Path, tmp_path: Path
) -> None:
    settings = api_settings(module_database, volume, AUTH_MODE="none", DEV_USER_ID="1")
    settings["GATEWAY_SECRET"] = ""

    with (
        ServiceProcess("api", settings, tmp_path / "log") as process,
        httpx.Client(base_url=process.url, trust_env=False) as client,
    ):
        response = client.post(
            "/api/images",
            content=good_body(app_hostname="dev.example.com"),
            headers={"Content-Type": CONTENT_TYPE, USER: "ada"},
        )

    assert response.status_code == 201
    assert response.json()["user_id"] == "1"
