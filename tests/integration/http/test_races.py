"""Many at once: the limits hold, and whoever comes too late is told so."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import caller, checked_problem, upload
from tests.integration.http.footprint import World
from tests.integration.http.uploads import CONTENT_TYPE, good_body

Ask = Callable[[httpx.Client], httpx.Response]
Race = Callable[[list[tuple[str, Ask]]], list[httpx.Response]]


@pytest.fixture
def at_once(api: ServiceProcess) -> Race:
    """Let each of several users ask something, all at the same time."""

    def race(entrants: list[tuple[str, Ask]]) -> list[httpx.Response]:
        with contextlib.ExitStack() as clients, ThreadPoolExecutor(len(entrants)) as threads:
            started = [
                threads.submit(ask, clients.enter_context(caller(api.url, user)))
                for user, ask in entrants
            ]
            return [answer.result() for answer in started]

    return race


def test_of_20_parallel_creates_with_room_for_5_exactly_5_are_recorded(
    client: httpx.Client,
    backstage: Backstage,
    module_database: str,
    at_once: Race,
) -> None:
    image_id = upload(client, max_instances="5")["id"]
    backstage.build(image_id)

    answers = at_once([("ada", lambda c: c.post(f"/api/containers/{image_id}?wait=0"))] * 20)

    refused = [answer for answer in answers if answer.status_code != 202]
    made = client.get(f"/api/images/{image_id}/containers").json()
    assert len(refused) == 15
    for answer in refused:
        assert checked_problem(answer, 409, "instance-limit-reached")["left"] == 0
    assert len(made) == len({container["external_port"] for container in made}) == 5
    backstage.work_off(image_id, 5)
    with psycopg.connect(module_database) as connection:
        told = connection.execute(
            "SELECT container_id, array_agg(type || sequence ORDER BY id) FROM events"
            " WHERE container_id = ANY(%s) GROUP BY 1",
            [[container["id"] for container in made]],
        ).fetchall()
    assert [events for _, events in told] == [["container.created1", "container.started2"]] * 5


def test_of_users_who_claim_a_hostname_at_once_one_gets_it(world: World, at_once: Race) -> None:
    body, headers = good_body(app_hostname="wanted.example.com"), {"Content-Type": CONTENT_TYPE}

    answers = at_once(
        [
            (f"user-{n}", lambda c: c.post("/api/images", content=body, headers=headers))
            for n in range(6)
        ]
    )

    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == 5
    for answer in refused:
        checked_problem(answer, 409, "hostname-taken")
    assert len(list(world.volume.glob("user-*/*/context"))) == 1
    assert len(list(world.volume.glob("user-*"))) == 1
    assert world.incoming_files() == []


def test_an_image_is_either_deleted_or_used_but_not_both(
    client: httpx.Client,
    backstage: Backstage,
    at_once: Race,
) -> None:
    for _ in range(5):
        image_id = upload(client)["id"]
        backstage.build(image_id)

        created, deleted = at_once(
            [
                ("ada", lambda c: c.post(f"/api/containers/{image_id}?wait=0")),  # noqa: B023 - runs at once
                ("ada", lambda c: c.delete(f"/api/images/{image_id}?wait=0")),  # noqa: B023 - runs at once
            ]
        )

        assert sorted([created.status_code, deleted.status_code]) == [202, 409]


def test_repeating_a_wish_many_times_at_once_is_one_wish(
    client: httpx.Client,
    backstage: Backstage,
    module_database: str,
    at_once: Race,
) -> None:
    image_id = upload(client)["id"]
    backstage.build(image_id)
    [container] = client.post(f"/api/containers/{image_id}?wait=0").json()
    backstage.work_off(image_id)
    path = f"/api/containers/{container['id']}/stop?wait=0"

    answers = at_once([("ada", lambda c: c.post(path))] * 8)

    backstage.work_off(image_id)
    with psycopg.connect(module_database) as connection:
        [(generation,)] = connection.execute(
            "SELECT generation FROM containers WHERE id = %s", [container["id"]]
        ).fetchall()
    assert {answer.status_code for answer in answers} == {202}
    assert generation == 2
