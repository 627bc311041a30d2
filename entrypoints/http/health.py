"""Liveness and readiness of the api."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.postgres.engines import PostgresEngineRegistry
from application.errors import DatabaseUnavailable
from entrypoints.http.responses import json_response

# Workers report each 5 s; three missed reports mean that nobody knows.
STALE_SECONDS = 15.0


class HealthEndpoints:
    """Ready means the database answers; the engines are reported beside it, and are no condition.

    Args:
        background_trouble: tells what is wrong with the process's own tasks, None if nothing is.
    """

    def __init__(
        self,
        registry: PostgresEngineRegistry,
        background_trouble: Callable[[], str | None],
    ) -> None:
        self._registry = registry
        self._background_trouble = background_trouble

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self._alive, methods=["GET"]),
            Route("/readyz", self._ready, methods=["GET"]),
        ]

    async def _alive(self, _: Request) -> Response:
        return json_response({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        trouble = self._background_trouble()
        try:
            engines = await run_in_threadpool(self._registry.health)
        except DatabaseUnavailable as exc:
            engines, trouble = [], str(exc)
        body = {
            "status": "ready" if trouble is None else "not ready",
            "detail": trouble,
            "engines": [
                {
                    "engine_id": engine.engine_id,
                    "reachable": engine.reachable and engine.age_seconds < STALE_SECONDS,
                    "reported_seconds_ago": round(engine.age_seconds, 1),
                    "quarantine": engine.quarantine_reason,
                }
                for engine in engines
            ],
        }
        ready = trouble is None
        return json_response(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)
