"""The endpoints of containers."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.change_container import ChangeContainer, ChangeContainerHandler
from application.create_containers import CreateContainers, CreateContainersHandler
from application.ports import Reader
from domain.container_status import Desired
from entrypoints.http.authentication import Authenticator
from entrypoints.http.outcome_waiter import CREATION, OutcomeWaiter, Verdict
from entrypoints.http.requests import CreateContainersBody, json_body, path_id, wait_seconds
from entrypoints.http.responses import json_response


class ContainerEndpoints:
    """REST over the use cases of containers."""

    def __init__(
        self,
        authenticator: Authenticator,
        reader: Reader,
        create: CreateContainersHandler,
        change: ChangeContainerHandler,
        waiter: OutcomeWaiter,
    ) -> None:
        self._authenticator = authenticator
        self._reader = reader
        self._create = create
        self._change = change
        self._waiter = waiter

    def routes(self) -> list[Route]:
        start = partial(self._wish, Desired.RUNNING)
        stop = partial(self._wish, Desired.STOPPED)
        return [
            Route("/api/containers", self._list, methods=["GET"]),
            Route("/api/containers/", self._list, methods=["GET"]),
            Route("/api/containers/{id}", self._get, methods=["GET"]),
            Route("/api/containers/{id}", self._create_from, methods=["POST"]),
            Route("/api/containers/{id}", self._delete, methods=["DELETE"]),
            Route("/api/containers/{id}/start", start, methods=["POST"]),
            Route("/api/containers/{id}/stop", stop, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        user_id = self._authenticator.user_id(request)
        return json_response(await run_in_threadpool(self._reader.containers, user_id))

    async def _get(self, request: Request) -> Response:
        user_id = self._authenticator.user_id(request)
        container_id = path_id(request, "id", "container")
        view = await run_in_threadpool(self._reader.container, user_id, container_id)
        return json_response(view)

    async def _create_from(self, request: Request) -> Response:
        """201 when each of them has come up or failed, 202 while any has not."""
        user_id = self._authenticator.user_id(request)
        image_id = path_id(request, "id", "image")
        seconds = wait_seconds(request)
        body = await json_body(request, CreateContainersBody)
        command = CreateContainers(
            user_id=user_id,
            image_id=image_id,
            request_id=request.state.request_id,
            name=body.name,
            count=body.count,
            env=body.env,
        )
        ids = await run_in_threadpool(self._create.handle, command)
        verdict = await self._waiter.containers(dict.fromkeys(ids, CREATION), seconds)
        views = await run_in_threadpool(self._reader.containers_by_id, ids)
        done = verdict is Verdict.CARRIED_OUT
        return json_response(views, HTTPStatus.CREATED if done else HTTPStatus.ACCEPTED)

    async def _wish(self, desired: Desired, request: Request) -> Response:
        """200 when it is carried out, 202 while it is not."""
        container_id, verdict = await self._record_and_wait(desired, request)
        user_id = self._authenticator.user_id(request)
        view = await run_in_threadpool(self._reader.container, user_id, container_id)
        done = verdict is Verdict.CARRIED_OUT
        return json_response(view, HTTPStatus.OK if done else HTTPStatus.ACCEPTED)

    async def _delete(self, request: Request) -> Response:
        """204 when it is gone, 202 with the container while it is not."""
        container_id, verdict = await self._record_and_wait(Desired.DELETED, request)
        if verdict is Verdict.CARRIED_OUT:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        views = await run_in_threadpool(self._reader.containers_by_id, [container_id])
        return json_response(views[0], HTTPStatus.ACCEPTED)

    async def _record_and_wait(self, desired: Desired, request: Request) -> tuple[int, Verdict]:
        user_id = self._authenticator.user_id(request)
        container_id = path_id(request, "id", "container")
        seconds = wait_seconds(request)
        command = ChangeContainer(user_id, container_id, desired, request.state.request_id)
        generation = await run_in_threadpool(self._change.handle, command)
        goal = None if desired is Desired.DELETED else generation
        return container_id, await self._waiter.containers({container_id: goal}, seconds)
