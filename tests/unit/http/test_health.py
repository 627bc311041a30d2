"""Readiness of the api shows each engine as the workers know it, and rests on none."""

import asyncio
from typing import Any, cast

import httpx
from starlette.applications import Starlette

from adapters.postgres.engines import EngineHealth, PostgresEngineRegistry
from entrypoints.http.health import HealthEndpoints


class FakeRegistry:
    """Knows one engine."""

    def __init__(self, engine: EngineHealth) -> None:
        self._engine = engine

    def health(self) -> list[EngineHealth]:
        return [self._engine]


def readiness(engine: EngineHealth) -> tuple[int, dict[str, Any]]:
    registry = cast(PostgresEngineRegistry, FakeRegistry(engine))
    app = Starlette(routes=HealthEndpoints(registry, lambda: None).routes())

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get("/readyz")

    response = asyncio.run(ask())
    return response.status_code, response.json()


def test_a_quarantine_is_shown_and_the_api_is_ready_all_the_same() -> None:
    status, body = readiness(EngineHealth("engine-1", True, 2.04, "5 of 6 are missing"))

    assert (status, body["status"]) == (200, "ready")
    assert body["engines"] == [
        {
            "engine_id": "engine-1",
            "reachable": True,
            "reported_seconds_ago": 2.0,
            "quarantine": "5 of 6 are missing",
        }
    ]


def test_an_engine_that_is_trusted_has_no_quarantine() -> None:
    _, body = readiness(EngineHealth("engine-1", True, 2.0, None))

    assert body["engines"][0]["quarantine"] is None
