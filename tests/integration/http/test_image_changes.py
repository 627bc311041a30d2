"""PATCH of an image: what it answers, what it changes, and what it refuses with all reasons."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import IMAGE_KEYS, checked_problem, upload, wrong_fields
from tests.integration.http.footprint import World

JSON = {"Content-Type": "application/json"}
EVERYTHING = {
    "min_instances": 2,
    "max_instances": 5,
    "cpu_limit": 0.25,
    "memory_limit": "64m",
    "restart_policy": "always",
}


def test_a_change_answers_the_image_as_it_is_from_then_on(
    client: httpx.Client, image_id: int
) -> None:
    before = client.get(f"/api/images/{image_id}").json()

    response = client.patch(f"/api/images/{image_id}", json=EVERYTHING)

    image = response.json()
    short = {"instances_short": 2, "instances_short_reason": None}
    assert (response.status_code, image.keys()) == (200, IMAGE_KEYS)
    assert image == before | EVERYTHING | short | {"updated_at": image["updated_at"]}
    assert image["updated_at"] > before["updated_at"]
    assert client.get(f"/api/images/{image_id}").json() == image


@pytest.mark.parametrize("field", list(EVERYTHING))
def test_one_field_may_be_changed_and_the_others_stay(
    client: httpx.Client, image_id: int, field: str
) -> None:
    before = client.get(f"/api/images/{image_id}").json()

    image = client.patch(f"/api/images/{image_id}", json={field: EVERYTHING[field]}).json()

    changed = {key for key in image if image[key] != before[key]}
    assert changed - {"instances_short", "updated_at"} == {field}


def test_limits_and_policy_hold_for_containers_that_are_created_from_then_on(
    client: httpx.Client, backstage: Backstage, running: Any
) -> None:
    image_id = running["image_id"]

    client.patch(f"/api/images/{image_id}", json={"restart_policy": "never"})
    [created] = client.post(f"/api/containers/{image_id}?wait=0").json()

    backstage.work_off(image_id)
    older = client.get(f"/api/containers/{running['id']}").json()
    assert (older["restart_policy"], created["restart_policy"]) == ("on-failure", "never")


WRONG_BODIES: list[tuple[Any, list[str]]] = [
    ({}, ["body"]),
    ([], ["body"]),
    ("min", ["body"]),
    (None, ["body"]),
    ({"name": "other"}, ["name"]),
    ({"replicas": 3, "max_instances": 3}, ["replicas"]),
    ({"min_instances": "1"}, ["min_instances"]),
    ({"min_instances": 1.0}, ["min_instances"]),
    ({"min_instances": True}, ["min_instances"]),
    ({"min_instances": None}, ["min_instances"]),
    ({"min_instances": -1}, ["min_instances"]),
    ({"min_instances": 4}, ["min_instances"]),
    ({"min_instances": 3, "max_instances": 2}, ["min_instances"]),
    ({"max_instances": 0}, ["max_instances"]),
    ({"max_instances": 11}, ["max_instances"]),
    ({"max_instances": 10**30}, ["max_instances"]),
    ({"cpu_limit": "0.5"}, ["cpu_limit"]),
    ({"cpu_limit": False}, ["cpu_limit"]),
    ({"cpu_limit": 0}, ["cpu_limit"]),
    ({"cpu_limit": -1}, ["cpu_limit"]),
    ({"cpu_limit": 0.1234}, ["cpu_limit"]),
    ({"cpu_limit": 1e-9}, ["cpu_limit"]),
    ({"cpu_limit": 1e300}, ["cpu_limit"]),
    ({"cpu_limit": 5}, ["cpu_limit"]),
    ({"memory_limit": 67108864}, ["memory_limit"]),
    ({"memory_limit": "1m"}, ["memory_limit"]),
    ({"memory_limit": "64 m"}, ["memory_limit"]),
    ({"memory_limit": "64m\n"}, ["memory_limit"]),
    ({"memory_limit": "9g"}, ["memory_limit"]),
    ({"restart_policy": "sometimes"}, ["restart_policy"]),
    ({"restart_policy": None}, ["restart_policy"]),
    ({"restart_policy": ["always"]}, ["restart_policy"]),
    (
        {
            "restart_policy": 1,
            "memory_limit": "",
            "cpu_limit": [],
            "max_instances": "x",
            "min_instances": -1,
            "nonsense": 0,
        },
        [
            "nonsense",
            "min_instances",
            "max_instances",
            "cpu_limit",
            "memory_limit",
            "restart_policy",
        ],
    ),
    (
        {"min_instances": 3, "max_instances": 2, "restart_policy": ""},
        ["restart_policy", "min_instances"],
    ),
    (
        {"min_instances": 4, "cpu_limit": 5, "memory_limit": "9g"},
        ["min_instances", "cpu_limit", "memory_limit"],
    ),
]


@pytest.mark.parametrize(("content", "fields"), WRONG_BODIES)
def test_a_wrong_change_is_refused_with_every_field_that_is_wrong(
    client: httpx.Client, image_id: int, world: World, content: Any, fields: list[str]
) -> None:
    body = json.dumps(content).encode()

    with world.left_alone():
        response = client.patch(f"/api/images/{image_id}", content=body, headers=JSON)

    assert wrong_fields(checked_problem(response, 422, "invalid-request")) == fields


def test_an_empty_body_names_what_it_might_hold(
    client: httpx.Client, image_id: int, world: World
) -> None:
    with world.left_alone():
        response = client.patch(f"/api/images/{image_id}")

    [error] = checked_problem(response, 422, "invalid-request")["errors"]
    assert error["field"] == "body"
    assert all(field in error["message"] for field in EVERYTHING)


def test_a_body_that_is_no_json_is_refused_by_its_type_or_its_form(
    client: httpx.Client, image_id: int, world: World
) -> None:
    path = f"/api/images/{image_id}"

    with world.left_alone():
        typed = client.patch(path, content=b"{}", headers={"Content-Type": "text/plain"})
        malformed = client.patch(path, content=b'{"min_instances": ', headers=JSON)
        large = client.patch(path, content=b" " * 300_000, headers=JSON)

    checked_problem(typed, 415, "unsupported-media-type")
    checked_problem(malformed, 400, "malformed-json")
    checked_problem(large, 413, "body-too-large")


def test_the_maximum_is_not_lowered_below_the_containers_that_live(
    client: httpx.Client, image_id: int, backstage: Backstage, world: World
) -> None:
    path = f"/api/images/{image_id}"
    first, *_ = client.post(f"/api/containers/{image_id}?wait=0", json={"count": 3}).json()
    backstage.work_off(image_id, 3)

    with world.left_alone():
        refused = client.patch(path, json={"max_instances": 2})
    client.delete(f"/api/containers/{first['id']}?wait=0")
    backstage.work_off(image_id)
    lowered = client.patch(path, json={"max_instances": 2})
    full = client.post(f"/api/containers/{image_id}?wait=0")

    problem = checked_problem(refused, 409, "max-below-live-containers")
    assert problem["live_containers"] == 3
    assert (lowered.status_code, lowered.json()["max_instances"]) == (200, 2)
    assert checked_problem(full, 409, "instance-limit-reached")["left"] == 0


def test_an_image_in_deletion_is_not_changed(
    client: httpx.Client, image_id: int, backstage: Backstage, world: World
) -> None:
    client.delete(f"/api/images/{image_id}?wait=0")

    with world.left_alone():
        refused = client.patch(f"/api/images/{image_id}", json=EVERYTHING)
    backstage.remove_image(image_id)
    with world.left_alone():
        gone = client.patch(f"/api/images/{image_id}", json=EVERYTHING)

    checked_problem(refused, 409, "image-in-deletion")
    checked_problem(gone, 404, "not-found")


def test_an_image_that_still_builds_may_be_changed(
    client: httpx.Client, backstage: Backstage
) -> None:
    image_id = upload(client)["id"]

    image = client.patch(f"/api/images/{image_id}", json={"min_instances": 1}).json()

    backstage.build(image_id)
    assert (image["status"], image["instances_short"]) == ("building", 1)
    assert image["instances_short_reason"] == "the image has no good build yet"


def test_anothers_image_is_changed_as_little_as_an_unknown_one(
    stranger: httpx.Client, image_id: int, world: World
) -> None:
    with world.left_alone():
        anothers = stranger.patch(f"/api/images/{image_id}", json=EVERYTHING)
        unknown = stranger.patch("/api/images/4711", json=EVERYTHING)

    checked_problem(anothers, 404, "not-found")
    assert anothers.content == unknown.content
