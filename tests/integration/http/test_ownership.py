"""Another user's resource answers as one that never was, to the byte."""

import httpx
import pytest

from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import checked_problem, upload
from tests.integration.http.footprint import World

NEVER_GIVEN_OUT = 4711
# What differs between any two answers.
NOT_COMPARED = {"x-request-id", "date"}

OF_IMAGES = [
    ("GET", "/api/images/{id}"),
    ("GET", "/api/images/{id}/build-logs"),
    ("GET", "/api/images/{id}/containers"),
    ("DELETE", "/api/images/{id}"),
    ("POST", "/api/images/{id}/cancel"),
    ("POST", "/api/images/{id}/rebuild"),
    ("POST", "/api/containers/{id}"),
]
OF_CONTAINERS = [
    ("GET", "/api/containers/{id}"),
    ("POST", "/api/containers/{id}/start"),
    ("POST", "/api/containers/{id}/stop"),
    ("DELETE", "/api/containers/{id}"),
]


@pytest.fixture(scope="module")
def adas(api: object) -> dict[str, int]:
    """The ids of Ada's image and container, once they are there."""
    return {}


@pytest.fixture
def owned(client: httpx.Client, backstage: Backstage, adas: dict[str, int]) -> dict[str, int]:
    if not adas:
        adas["image"] = upload(client)["id"]
        backstage.build(adas["image"])
        path = f"/api/containers/{adas['image']}?wait=0"
        adas["container"] = client.post(path).json()[0]["id"]
        backstage.work_off(adas["image"])
    return adas


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [("image", *case) for case in OF_IMAGES] + [("container", *case) for case in OF_CONTAINERS],
)
def test_a_strangers_resource_answers_as_one_that_never_was(
    stranger: httpx.Client, owned: dict[str, int], world: World, kind: str, method: str, path: str
) -> None:
    with world.left_alone():
        foreign = stranger.request(method, path.format(id=owned[kind]))
        unknown = stranger.request(method, path.format(id=NEVER_GIVEN_OUT))

    checked_problem(foreign, 404, "not-found")
    assert foreign.content == unknown.content
    assert _compared_headers(foreign) == _compared_headers(unknown)


def test_an_owner_reaches_what_a_stranger_does_not(
    client: httpx.Client, owned: dict[str, int]
) -> None:
    for method, path in (*OF_IMAGES[:3], OF_CONTAINERS[0]):
        kind = "image" if "images" in path else "container"

        assert client.request(method, path.format(id=owned[kind])).status_code == 200


def test_a_hostname_belongs_to_the_user_whose_image_holds_it(
    client: httpx.Client, stranger: httpx.Client, backstage: Backstage
) -> None:
    first = upload(client, app_hostname="first.example.com")["id"]
    upload(client, app_hostname="first.example.com")
    second = upload(client, app_hostname="second.example.com")["id"]

    client.delete(f"/api/images/{second}?wait=0")
    backstage.remove_image(second)

    assert first
    assert upload(stranger, app_hostname="second.example.com")["user_id"] == "bob"


def _compared_headers(response: httpx.Response) -> list[tuple[str, str]]:
    return [(k, v) for k, v in response.headers.multi_items() if k not in NOT_COMPARED]
