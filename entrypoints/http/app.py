"""The Starlette application: routes, problems, and the one background task of the api."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from application.errors import ApplicationError
from domain.errors import DomainError
from entrypoints.composition.api import Api
from entrypoints.http.authentication import Authenticator
from entrypoints.http.builds import BuildEndpoints
from entrypoints.http.containers import ContainerEndpoints
from entrypoints.http.health import HealthEndpoints
from entrypoints.http.images import ImageEndpoints
from entrypoints.http.problems import (
    RequestProblem,
    disconnected_problem,
    http_problem,
    known_problem,
    request_problem,
    unforeseen_problem,
)
from entrypoints.http.request_ids import RequestIdMiddleware
from entrypoints.settings import Settings

# With the grace that requests have before, below the 5 s in which a process has to end.
_UPLOADS_END_SECONDS = 2.0

log = structlog.get_logger(__name__)


class BackgroundTask:
    """The waiters' task; the api is not ready without it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self, task: asyncio.Task[None]) -> None:
        self._task = task
        task.add_done_callback(_log_end)

    def trouble(self) -> str | None:
        """Tell what is wrong, None if nothing is."""
        running = self._task is not None and not self._task.done()
        return None if running else "the outcome waiter does not run"


def create_app(api: Api, settings: Settings) -> Starlette:
    """Build the application over an api whose pool is open."""
    authenticator = Authenticator(settings)
    background = BackgroundTask()
    images = ImageEndpoints(
        authenticator,
        api.reader(),
        api.upload_image(),
        api.change_image(),
        api.delete_image(),
        api.waiter(),
        api.store(),
        api.space(),
        max_upload_bytes=settings.max_upload_bytes,
    )
    builds = BuildEndpoints(
        authenticator,
        api.reader(),
        api.cancel_build(),
        api.rebuild_image(),
        api.waiter(),
    )
    containers = ContainerEndpoints(
        authenticator,
        api.reader(),
        api.create_containers(),
        api.change_container(),
        api.waiter(),
    )
    health = HealthEndpoints(api.registry(), background.trouble)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(api.waiter().run())
        background.start(task)
        api.notifier().start()
        api.listener().start()
        yield
        # uvicorn has cancelled them, and ends the process as soon as this returns.
        await images.uploads_ended(_UPLOADS_END_SECONDS)
        task.cancel()
        await asyncio.to_thread(api.listener().close)
        await asyncio.to_thread(api.notifier().close)

    app = Starlette(
        routes=[
            *images.routes(),
            *builds.routes(),
            *containers.routes(),
            *health.routes(),
        ],
        middleware=[Middleware(RequestIdMiddleware)],
        exception_handlers={
            DomainError: known_problem,
            ApplicationError: known_problem,
            RequestProblem: request_problem,
            HTTPException: http_problem,
            ClientDisconnect: disconnected_problem,
            Exception: unforeseen_problem,
        },
        lifespan=lifespan,
    )
    # A slash too many is a path of its own here, never a redirect that drops a body.
    app.router.redirect_slashes = False
    return app


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("outcome waiter died", exc_info=task.exception())
