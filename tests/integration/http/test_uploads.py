"""Uploads that are accepted: what they answer, store and record."""

from pathlib import Path

import httpx
import psycopg

from tests.integration.http.edge import IMAGE_KEYS, upload
from tests.integration.http.uploads import (
    CONTENT_TYPE,
    body,
    fields,
    good_archive,
    good_body,
)


def test_an_upload_answers_the_image_that_builds_and_where_it_is(
    client: httpx.Client, volume: Path
) -> None:
    response = client.post(
        "/api/images",
        content=good_body(
            tag="v1.2",
            app_hostname="Shop.Example.com",
            container_port="5000",
            min_instances="1",
            max_instances="3",
            cpu_limit="0.25",
            memory_limit="64M",
        ),
        headers={"Content-Type": CONTENT_TYPE},
    )

    image = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/images/{image['id']}"
    assert image.keys() == IMAGE_KEYS
    assert image == image | {
        "user_id": "ada",
        "name": "My shop",
        "tag": "v1.2",
        "app_hostname": "shop.example.com",
        "container_port": 5000,
        "min_instances": 1,
        "max_instances": 3,
        "cpu_limit": 0.25,
        "memory_limit": "64M",
        "status": "building",
        "status_reason": "no worker is there",
        "build_logs": "",
        "build_logs_truncated": False,
        "source_path": f"ada/{image['id']}/context",
        "image_tag": f"nvidia-app-uada-i{image['id']}:v1.2",
        "image_digest": None,
    }
    assert (volume / image["source_path"] / "Dockerfile").is_file()
    assert not list((volume / ".incoming").iterdir())


def test_fields_that_are_left_out_or_empty_have_their_defaults(client: httpx.Client) -> None:
    for given in ({}, {"tag": "", "container_port": "", "max_instances": "", "cpu_limit": ""}):
        image = upload(client, **given)

        assert image["tag"] == "latest"
        assert image["container_port"] == 8080
        assert (image["min_instances"], image["max_instances"]) == (0, 1)
        assert (image["cpu_limit"], image["memory_limit"]) == (0.5, "512m")


def test_an_upload_queues_one_build_and_tells_that_it_started(
    client: httpx.Client, module_database: str
) -> None:
    response = client.post(
        "/api/images",
        content=good_body(),
        headers={"Content-Type": CONTENT_TYPE, "X-Request-Id": "order-66"},
    )

    image_id = response.json()["id"]
    with psycopg.connect(module_database) as connection:
        builds = connection.execute(
            "SELECT status FROM builds WHERE image_id = %s", [image_id]
        ).fetchall()
        events = connection.execute(
            "SELECT e.type, e.sequence, convert_from(e.payload, 'UTF8')::jsonb ->> 'request_id'"
            " FROM events e JOIN outbox USING (event_id) WHERE e.image_id = %s",
            [image_id],
        ).fetchall()
    assert builds == [("queued",)]
    assert events == [("image.build_started", 1, "order-66")]


def test_the_file_may_come_before_the_fields_and_an_upload_may_be_chunked(
    client: httpx.Client,
) -> None:
    content = body([("file", b""), *fields()]).replace(
        b'name="file"\r\n\r\n', b'name="file"; filename="a.tar"\r\n\r\n' + good_archive()
    )

    response = client.post(
        "/api/images",
        content=(content[start : start + 1000] for start in range(0, len(content), 1000)),
        headers={"Content-Type": CONTENT_TYPE},
    )

    assert response.status_code == 201, response.text
