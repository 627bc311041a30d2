"""The database goes and comes back; the api stays, says so, and finds back by itself."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx
import psycopg
import pytest

from entrypoints.dev.postgres import Postgres
from entrypoints.dev.service_processes import ServiceProcess
from migrations.runner import migrate
from tests.integration.http.backstage import Backstage
from tests.integration.http.edge import api_settings, caller, checked_problem, upload
from tests.integration.http.raw_requests import wait_until
from tests.integration.http.uploads import CONTENT_TYPE, good_body

_LISTENS = """
SELECT 1 FROM pg_stat_activity
WHERE application_name = 'orchestrator-listener' AND query ILIKE 'listen%'
"""


@pytest.fixture
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def test_without_a_database_answers_are_503_and_it_comes_back_by_itself(
    server: Postgres, tmp_path: Path
) -> None:
    url = server.create_database("orchestrator")
    migrate(url)
    volume = tmp_path / "volume"
    with (
        ServiceProcess("api", api_settings(url, volume), tmp_path / "log") as api,
        caller(api.url) as client,
        ThreadPoolExecutor() as background,
    ):
        with Backstage(url) as backstage:
            image_id = upload(client)["id"]
            backstage.build(image_id)
            [container] = client.post(f"/api/containers/{image_id}?wait=0").json()
            path = f"/api/containers/{container['id']}"
            backstage.work_off(image_id)
        files = sorted(volume.rglob("*"))
        waiting = background.submit(client.post, f"{path}/stop?wait=60")
        wait_until(lambda: client.get(path).json()["status"] == "stopping", "the wish is recorded")

        server.halt()
        asked = {name: background.submit(ask) for name, ask in _requests(client, path).items()}
        answers = {name: answer.result() for name, answer in asked.items()}
        assert not waiting.done()
        server.start()

        for name in ("list", "upload", "create", "delete"):
            checked_problem(answers[name], 503, "database-unavailable")
            assert int(answers[name].headers["retry-after"]) > 0
        assert (answers["alive"].status_code, answers["ready"].status_code) == (200, 503)
        assert answers["ready"].json()["status"] == "not ready"
        assert sorted(volume.rglob("*")) == files
        wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready again")
        with Backstage(url) as backstage:
            backstage.work_off(image_id)
            assert waiting.result(20).json()["status"] == "stopped"
            _wait_until_it_listens(url)
            delays = [_delay(client, backstage, background, path, image_id) for _ in range(6)]
        assert median(delays) < 0.35, "the poll answers, not the notification"


def _requests(client: httpx.Client, path: str) -> dict[str, Callable[[], httpx.Response]]:
    headers = {"Content-Type": CONTENT_TYPE}
    return {
        "list": lambda: client.get("/api/images"),
        "upload": lambda: client.post("/api/images", content=good_body(), headers=headers),
        "create": lambda: client.post("/api/containers/1"),
        "delete": lambda: client.delete(path),
        "alive": lambda: client.get("/healthz"),
        "ready": lambda: client.get("/readyz"),
    }


def _wait_until_it_listens(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        wait_until(lambda: connection.execute(_LISTENS).fetchone(), "the api listens again")


def _delay(
    client: httpx.Client,
    backstage: Backstage,
    background: ThreadPoolExecutor,
    path: str,
    image_id: int,
) -> float:
    """Return how long the api took to learn of an outcome."""
    wish = "stop" if client.get(path).json()["desired"] == "running" else "start"
    answer = background.submit(client.post, f"{path}/{wish}?wait=60")
    backstage.work_off(image_id)
    recorded = time.monotonic()
    assert answer.result(10).status_code == 200
    return time.monotonic() - recorded
