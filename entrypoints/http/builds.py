"""The endpoints that begin and end builds of an image that is there."""

from __future__ import annotations

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.cancel_build import CancelBuild, CancelBuildHandler
from application.ports import Reader
from application.rebuild_image import RebuildImage, RebuildImageHandler
from entrypoints.http.authentication import Authenticator
from entrypoints.http.outcome_waiter import OutcomeWaiter, Verdict
from entrypoints.http.requests import path_id, wait_seconds
from entrypoints.http.responses import json_response


class BuildEndpoints:
    """REST over the use cases of builds."""

    def __init__(
        self,
        authenticator: Authenticator,
        reader: Reader,
        cancel: CancelBuildHandler,
        rebuild: RebuildImageHandler,
        waiter: OutcomeWaiter,
    ) -> None:
        self._authenticator = authenticator
        self._reader = reader
        self._cancel_build = cancel
        self._rebuild_image = rebuild
        self._waiter = waiter

    def routes(self) -> list[Route]:
        return [
            Route("/api/images/{id}/cancel", self._cancel, methods=["POST"]),
            Route("/api/images/{id}/rebuild", self._rebuild, methods=["POST"]),
        ]

    async def _cancel(self, request: Request) -> Response:
        """200 when the build has ended, 202 while it has not; the image tells how it ended.

        An image that was deleted meanwhile, and is gone, is 404 as to everybody else.
        """
        user_id, image_id = self._addressed(request)
        seconds = wait_seconds(request)
        command = CancelBuild(user_id, image_id, request.state.request_id)
        build_id = await run_in_threadpool(self._cancel_build.handle, command)
        verdict = await self._waiter.build_end(build_id, seconds)
        view = await run_in_threadpool(self._reader.image, user_id, image_id)
        done = verdict is Verdict.CARRIED_OUT
        return json_response(view, HTTPStatus.OK if done else HTTPStatus.ACCEPTED)

    async def _rebuild(self, request: Request) -> Response:
        """200 with the image `building`: its build is queued, and nobody waits for it."""
        user_id, image_id = self._addressed(request)
        command = RebuildImage(user_id, image_id, request.state.request_id)
        await run_in_threadpool(self._rebuild_image.handle, command)
        return json_response(await run_in_threadpool(self._reader.image, user_id, image_id))

    def _addressed(self, request: Request) -> tuple[str, int]:
        return self._authenticator.user_id(request), path_id(request, "id", "image")
