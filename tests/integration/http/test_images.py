"""The endpoints of images, as design section 8 has them."""

from pathlib import Path

import httpx
import psycopg
import pytest

from tests.integration.http.backstage import DIGEST, Backstage
from tests.integration.http.edge import (
    CONTAINER_KEYS,
    IMAGE_KEYS,
    checked_problem,
    upload,
)


def test_images_are_listed_newest_first_own_only_and_without_their_logs(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    ids = [upload(client)["id"] for _ in range(3)]
    foreign = upload(stranger, app_hostname="bob.example.com")["id"]

    for path in ("/api/images", "/api/images/"):
        images = client.get(path).json()

        assert [image["id"] for image in images][:3] == ids[::-1]
        assert foreign not in {image["id"] for image in images}
        assert all(image.keys() == IMAGE_KEYS for image in images)
        assert {(image["build_logs"], image["build_logs_truncated"]) for image in images} == {
            (None, None)
        }


def test_with_containers_counts_those_that_live_and_those_that_run(
    client: httpx.Client, backstage: Backstage, image_id: int
) -> None:
    client.post(f"/api/containers/{image_id}?wait=0", json={"count": 2})
    backstage.work_off(image_id, 2)
    client.post(f"/api/containers/{image_id}?wait=0")
    backstage.work_off(image_id, failure="its port did not answer")

    images = client.get("/api/images/with-containers").json()

    assert all(
        image.keys() == IMAGE_KEYS | {"container_count", "running_count"} for image in images
    )
    assert [image["id"] for image in images] == sorted((i["id"] for i in images), reverse=True)
    [mine] = [image for image in images if image["id"] == image_id]
    assert (mine["container_count"], mine["running_count"]) == (3, 2)


def test_the_containers_of_an_image_are_listed_newest_first(
    client: httpx.Client, backstage: Backstage, image_id: int
) -> None:
    empty = client.get(f"/api/images/{image_id}/containers")
    created = client.post(f"/api/containers/{image_id}?wait=0", json={"count": 2}).json()

    listed = client.get(f"/api/images/{image_id}/containers")

    backstage.work_off(image_id, 2)
    assert (empty.status_code, empty.json()) == (200, [])
    assert [c["id"] for c in listed.json()] == [c["id"] for c in created][::-1]
    assert all(container.keys() == CONTAINER_KEYS for container in listed.json())


def test_the_build_log_is_live_while_it_builds_and_kept_when_it_is_over(
    client: httpx.Client, backstage: Backstage, volume: Path
) -> None:
    image_id = upload(client)["id"]
    lease = backstage.begin_build(image_id)
    log = volume / "ada" / str(image_id) / "builds" / f"{lease.id}.log"

    before = client.get(f"/api/images/{image_id}/build-logs").json()
    log.write_text("step 1\n")
    during = client.get(f"/api/images/{image_id}/build-logs").json()
    log.write_text("s" * 9000 + "end")
    cut = client.get(f"/api/images/{image_id}").json()
    backstage.end_build(lease, "all of it\n", error="step 2 failed")
    after = client.get(f"/api/images/{image_id}/build-logs").json()
    image = client.get(f"/api/images/{image_id}").json()

    building = {"image_id": image_id, "status": "building", "truncated": False}
    assert before == building | {"build_logs": ""}
    assert during == building | {"build_logs": "step 1\n"}
    assert (len(cut["build_logs"]), cut["build_logs_truncated"]) == (8000, True)
    assert cut["build_logs"].endswith("send")
    assert after == {
        "image_id": image_id,
        "status": "build_failed",
        "build_logs": "all of it\n",
        "truncated": False,
    }
    assert (image["status"], image["status_reason"]) == ("build_failed", "step 2 failed")


def test_a_built_image_is_ready_and_shows_its_digest(
    client: httpx.Client, backstage: Backstage, image_id: int
) -> None:
    image = client.get(f"/api/images/{image_id}").json()

    assert image.keys() == IMAGE_KEYS
    assert (image["status"], image["image_digest"]) == ("ready", DIGEST)
    assert (image["build_logs"], image["build_logs_truncated"]) == ("built\n", False)
    assert image["updated_at"] > image["created_at"]


@pytest.mark.parametrize("path", ["", "/build-logs", "/containers"])
def test_an_image_that_never_was_is_404(client: httpx.Client, path: str) -> None:
    response = client.get(f"/api/images/4711{path}")

    checked_problem(response, 404, "not-found")


def test_deleting_an_image_is_202_until_a_worker_has_removed_it_then_404(
    client: httpx.Client, backstage: Backstage, module_database: str, image_id: int
) -> None:
    deleting = client.delete(f"/api/images/{image_id}?wait=0")
    again = client.delete(f"/api/images/{image_id}?wait=0")
    backstage.remove_image(image_id)
    gone = client.get(f"/api/images/{image_id}")
    once_more = client.delete(f"/api/images/{image_id}")

    assert deleting.status_code == again.status_code == 202
    assert deleting.json().keys() == IMAGE_KEYS
    assert deleting.json()["status"] == again.json()["status"] == "deleting"
    checked_problem(gone, 404, "not-found")
    checked_problem(once_more, 404, "not-found")
    for path in ("/build-logs", "/containers"):
        checked_problem(client.get(f"/api/images/{image_id}{path}"), 404, "not-found")
    for path in ("/api/images", "/api/images/with-containers"):
        assert image_id not in {image["id"] for image in client.get(path).json()}
    with psycopg.connect(module_database) as connection:
        told = connection.execute(
            "SELECT type FROM events WHERE image_id = %s ORDER BY id", [image_id]
        ).fetchall()
    assert told == [("image.build_started",), ("image.ready",), ("image.deleted",)]


def test_deleting_an_image_cancels_its_queued_build(
    client: httpx.Client, backstage: Backstage, module_database: str
) -> None:
    image_id = upload(client)["id"]

    response = client.delete(f"/api/images/{image_id}?wait=0")

    assert response.status_code == 202
    with psycopg.connect(module_database) as connection:
        [(status,)] = connection.execute(
            "SELECT status FROM builds WHERE image_id = %s", [image_id]
        ).fetchall()
    assert status == "cancelled"
    backstage.remove_image(image_id)


def test_an_image_with_live_containers_is_not_deleted(
    client: httpx.Client, backstage: Backstage, image_id: int, module_database: str
) -> None:
    client.post(f"/api/containers/{image_id}?wait=0")
    backstage.work_off(image_id)

    response = client.delete(f"/api/images/{image_id}")

    problem = checked_problem(response, 409, "image-has-live-containers")
    assert problem["live_containers"] == 1
    assert client.get(f"/api/images/{image_id}").json()["status"] == "ready"
