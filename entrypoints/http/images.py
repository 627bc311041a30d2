"""The endpoints of images."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.volume.context_store import VolumeContextStore
from adapters.volume.disk_space import VolumeDiskSpace
from application.change_image import ChangeImageHandler
from application.delete_image import DeleteImage, DeleteImageHandler
from application.errors import NotFound
from application.ports import Reader
from application.upload_image import UploadImage, UploadImageHandler
from entrypoints.http.authentication import Authenticator
from entrypoints.http.image_change import image_change
from entrypoints.http.outcome_waiter import OutcomeWaiter, Verdict
from entrypoints.http.problems import RequestProblem
from entrypoints.http.requests import flag, json_fields, path_id, wait_seconds
from entrypoints.http.responses import json_response
from entrypoints.http.threads import run_to_its_end
from entrypoints.http.upload_form import image_spec, received_form

# Extracting is disk and CPU: more at once would only make each of them slower.
CONCURRENT_EXTRACTIONS = 2
# Uploads that are received or wait for their extraction; one more is asked to come back.
CONCURRENT_UPLOADS = 16
# How often an upload shows that it goes on, also while it waits for its extraction; well below the
# shortest grace after which a worker takes it for left behind.
SIGN_OF_LIFE_SECONDS = 20.0


class ImageEndpoints:
    """REST over the use cases of images."""

    def __init__(
        self,
        authenticator: Authenticator,
        reader: Reader,
        upload: UploadImageHandler,
        change: ChangeImageHandler,
        delete: DeleteImageHandler,
        waiter: OutcomeWaiter,
        store: VolumeContextStore,
        space: VolumeDiskSpace,
        *,
        max_upload_bytes: int,
    ) -> None:
        self._authenticator = authenticator
        self._reader = reader
        self._upload = upload
        self._change_image = change
        self._delete_image = delete
        self._waiter = waiter
        self._store = store
        self._space = space
        self._max_upload_bytes = max_upload_bytes
        self._extractions = CapacityLimiter(CONCURRENT_EXTRACTIONS)
        self._uploads: set[asyncio.Task[Any]] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/api/images", self._list, methods=["GET"]),
            Route("/api/images/", self._list, methods=["GET"]),
            Route("/api/images", self._create, methods=["POST"]),
            Route("/api/images/", self._create, methods=["POST"]),
            Route("/api/images/with-containers", self._list_with_containers, methods=["GET"]),
            Route("/api/images/{id}", self._get, methods=["GET"]),
            Route("/api/images/{id}", self._change, methods=["PATCH"]),
            Route("/api/images/{id}", self._delete, methods=["DELETE"]),
            Route("/api/images/{id}/build-logs", self._build_logs, methods=["GET"]),
            Route("/api/images/{id}/containers", self._containers, methods=["GET"]),
        ]

    async def uploads_ended(self, seconds: float) -> None:
        """Wait until no upload is received or extracted, `seconds` at most."""
        if self._uploads:
            await asyncio.wait(self._uploads, timeout=seconds)

    async def _create(self, request: Request) -> Response:
        """201 with the image `building`; its archive is stored, its build queued."""
        user_id = self._authenticator.user_id(request)
        if len(self._uploads) >= CONCURRENT_UPLOADS:
            raise RequestProblem(
                HTTPStatus.TOO_MANY_REQUESTS, "too-many-uploads", "too many uploads at once"
            )
        archive = self._store.incoming()
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - for mypy: a coroutine runs in a task
        self._uploads.add(this)
        alive = asyncio.create_task(_show_life(archive))
        try:
            form = await received_form(request, archive, self._max_upload_bytes, self._space)
            spec = image_spec(form, user_id)
            command = UploadImage(spec, archive, request.state.request_id)
            image_id = await run_to_its_end(
                partial(self._upload.handle, command),
                limiter=self._extractions,
                hurry=partial(_cut_short, archive),
            )
        finally:
            alive.cancel()
            await run_to_its_end(partial(self._store.discard, archive))
            self._uploads.discard(this)
        view = await run_in_threadpool(self._reader.image, user_id, image_id)
        location = {"Location": f"/api/images/{image_id}"}
        return json_response(view, HTTPStatus.CREATED, location)

    async def _list(self, request: Request) -> Response:
        user_id = self._authenticator.user_id(request)
        return json_response(await run_in_threadpool(self._reader.images, user_id))

    async def _list_with_containers(self, request: Request) -> Response:
        user_id = self._authenticator.user_id(request)
        return json_response(await run_in_threadpool(self._reader.images_with_containers, user_id))

    async def _get(self, request: Request) -> Response:
        user_id, image_id = self._addressed(request)
        return json_response(await run_in_threadpool(self._reader.image, user_id, image_id))

    async def _build_logs(self, request: Request) -> Response:
        user_id, image_id = self._addressed(request)
        return json_response(await run_in_threadpool(self._reader.build_log, user_id, image_id))

    async def _containers(self, request: Request) -> Response:
        user_id, image_id = self._addressed(request)
        return json_response(await run_in_threadpool(self._reader.containers, user_id, image_id))

    async def _change(self, request: Request) -> Response:
        """200 with the image as it is from now on."""
        user_id, image_id = self._addressed(request)
        command = image_change(await json_fields(request), user_id, image_id)
        await run_in_threadpool(self._change_image.handle, command)
        return json_response(await run_in_threadpool(self._reader.image, user_id, image_id))

    async def _delete(self, request: Request) -> Response:
        """204 when nothing of it is left, 202 with the image while something is."""
        user_id, image_id = self._addressed(request)
        seconds = wait_seconds(request)
        force = flag(request, "force")
        command = DeleteImage(user_id, image_id, request.state.request_id, force=force)
        await run_in_threadpool(self._delete_image.handle, command)
        verdict = await self._waiter.image_deletion(image_id, seconds)
        if verdict is Verdict.CARRIED_OUT:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        try:
            view = await run_in_threadpool(self._reader.image, user_id, image_id)
        except NotFound:
            # It went between the last look and this one.
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return json_response(view, HTTPStatus.ACCEPTED)

    def _addressed(self, request: Request) -> tuple[str, int]:
        return self._authenticator.user_id(request), path_id(request, "id", "image")


async def _show_life(archive: Path) -> None:
    while True:
        await asyncio.sleep(SIGN_OF_LIFE_SECONDS)
        with contextlib.suppress(OSError):
            await run_in_threadpool(os.utime, archive)


def _cut_short(archive: Path) -> None:
    """Let an extraction meet the end of its archive: it refuses it and clears up after itself."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(archive, 0)
