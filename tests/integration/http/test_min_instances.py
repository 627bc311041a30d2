"""What users see of min_instances and restart policies: shortfalls, refusals, forced deletions."""

import httpx
import pytest

from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import CONTAINER_KEYS, checked_problem, upload, wrong_fields
from tests.integration.http.footprint import World


@pytest.fixture
def kept_id(client: httpx.Client, backstage: Backstage) -> int:
    """A ready image of Ada's with one container that min_instances made."""
    image_id: int = upload(client, min_instances="1", max_instances="3")["id"]
    backstage.build(image_id)
    backstage.keep_instances(image_id)
    backstage.work_off(image_id)
    return image_id


def statuses(client: httpx.Client, image_id: int) -> list[str]:
    return [each["status"] for each in client.get(f"/api/images/{image_id}/containers").json()]


def test_what_min_instances_made_is_a_container_as_any_other(
    client: httpx.Client, kept_id: int
) -> None:
    [container] = client.get(f"/api/images/{kept_id}/containers").json()

    assert container.keys() == CONTAINER_KEYS
    assert (container["status"], container["desired"]) == ("running", "running")
    assert container["name"].startswith("my-shop-")
    assert client.get(f"/api/images/{kept_id}").json()["instances_short"] == 0


def test_a_stop_below_the_minimum_is_409_with_the_number_and_a_delete_is_not(
    client: httpx.Client, kept_id: int, backstage: Backstage, world: World
) -> None:
    [container] = client.get(f"/api/images/{kept_id}/containers").json()
    path = f"/api/containers/{container['id']}"

    with world.left_alone():
        refused = client.post(f"{path}/stop")
    deleting = client.delete(f"{path}?wait=0")
    backstage.work_off(kept_id)
    backstage.keep_instances(kept_id)
    backstage.work_off(kept_id)

    problem = checked_problem(refused, 409, "below-min-instances")
    assert (problem["min_instances"], problem["left"]) == (1, 0)
    assert (deleting.status_code, statuses(client, kept_id)) == (202, ["running"])


def test_a_failed_instance_shows_as_a_shortfall_with_its_reason(
    client: httpx.Client, backstage: Backstage
) -> None:
    image_id = upload(client, min_instances="1")["id"]
    backstage.build(image_id)
    backstage.keep_instances(image_id)
    backstage.work_off(image_id, failure="exited with code 1 before port 8080 answered")

    image = client.get(f"/api/images/{image_id}").json()
    listed = [each for each in client.get("/api/images").json() if each["id"] == image_id]

    assert image["instances_short"] == listed[0]["instances_short"] == 1
    assert image["instances_short_reason"] == listed[0]["instances_short_reason"]
    assert image["instances_short_reason"].endswith(
        "after 1 failure(s): exited with code 1 before port 8080 answered"
    )


# ---- deletion of the image -----------------------------------------------------------------


def test_an_image_goes_with_the_containers_that_min_instances_made(
    client: httpx.Client, kept_id: int, backstage: Backstage
) -> None:
    deleting = client.delete(f"/api/images/{kept_id}?wait=0")
    shown = statuses(client, kept_id)
    backstage.work_off(kept_id)
    backstage.remove_image(kept_id)

    assert (deleting.status_code, deleting.json()["status"]) == (202, "deleting")
    assert shown == ["deleting"]
    checked_problem(client.get(f"/api/images/{kept_id}"), 404, "not-found")


def test_an_image_with_a_users_container_is_deleted_only_by_force(
    client: httpx.Client, kept_id: int, backstage: Backstage, world: World
) -> None:
    client.post(f"/api/containers/{kept_id}?wait=0")
    backstage.work_off(kept_id)
    path = f"/api/images/{kept_id}"

    with world.left_alone():
        refused = [client.delete(path), client.delete(f"{path}?force=false")]
    forced = client.delete(f"{path}?force=true&wait=0")
    shown = statuses(client, kept_id)
    again = client.delete(f"{path}?force=true&wait=0")
    backstage.work_off(kept_id, 2)
    backstage.remove_image(kept_id)

    for response in refused:
        problem = checked_problem(response, 409, "image-has-live-containers")
        assert problem["live_containers"] == 1
    assert (forced.status_code, again.status_code) == (202, 202)
    assert shown == ["deleting", "deleting"]
    checked_problem(client.get(path), 404, "not-found")


@pytest.mark.parametrize("value", ["", "1", "yes", "True", "true,false"])
def test_force_is_true_or_false(
    client: httpx.Client, image_id: int, world: World, value: str
) -> None:
    with world.left_alone():
        response = client.delete(f"/api/images/{image_id}", params={"force": value})

    assert wrong_fields(checked_problem(response, 422, "invalid-request")) == ["force"]


def test_an_image_in_deletion_gets_no_container(
    client: httpx.Client, kept_id: int, backstage: Backstage
) -> None:
    client.delete(f"/api/images/{kept_id}?wait=0")

    refused = client.post(f"/api/containers/{kept_id}")
    backstage.keep_instances(kept_id)

    assert statuses(client, kept_id) == ["deleting"]
    checked_problem(refused, 409, "image-not-usable")


# ---- restart policies ----------------------------------------------------------------------


def test_a_restart_policy_is_chosen_on_upload_and_shown_with_image_and_container(
    client: httpx.Client, backstage: Backstage
) -> None:
    image = upload(client, restart_policy="always")
    backstage.build(image["id"])

    [container] = client.post(f"/api/containers/{image['id']}?wait=0").json()

    backstage.work_off(image["id"])
    assert image["restart_policy"] == container["restart_policy"] == "always"
    assert upload(client)["restart_policy"] == "on-failure"


def test_a_crash_loop_shows_its_count_and_the_next_restart(
    client: httpx.Client, backstage: Backstage, image_id: int
) -> None:
    [made] = client.post(f"/api/containers/{image_id}?wait=0").json()
    path = f"/api/containers/{made['id']}"
    backstage.work_off(image_id)
    running = client.get(path).json()

    backstage.crash(made["id"])
    crashed = client.get(path).json()
    client.post(f"{path}/stop?wait=0")
    stopping = client.get(path).json()

    backstage.work_off(image_id)
    assert (running["crash_count"], running["next_restart_at"]) == (0, None)
    assert (crashed["status"], crashed["crash_count"]) == ("exited", 1)
    assert crashed["next_restart_at"] > crashed["finished_at"]
    assert stopping["next_restart_at"] is None
