"""Errors as RFC 9457 problem details: the one table from error classes to statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from application import errors as app
from domain import errors as dom

URN = "urn:orchestrator:problem:"
CONTENT_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)


class RequestProblem(Exception):  # noqa: N818 - a problem by RFC 9457
    """A request that the edge refuses before any use case sees it."""

    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors is told.

    Attributes:
        name: the last part of the problem's `type`.
        retry_after_seconds: for the Retry-After header.
    """

    status: HTTPStatus
    name: str
    retry_after_seconds: int | None = None


KINDS: Mapping[type[Exception], Kind] = {
    dom.InvalidValue: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    dom.IllegalTransition: Kind(HTTPStatus.CONFLICT, "illegal-transition"),
    dom.ImageNotUsable: Kind(HTTPStatus.CONFLICT, "image-not-usable"),
    dom.ImageHasLiveContainers: Kind(HTTPStatus.CONFLICT, "image-has-live-containers"),
    dom.ImageRefuses: Kind(HTTPStatus.CONFLICT, "image-refuses"),
    dom.ImageInDeletion: Kind(HTTPStatus.CONFLICT, "image-in-deletion"),
    dom.InstanceLimitReached: Kind(HTTPStatus.CONFLICT, "instance-limit-reached"),
    dom.MaxBelowLiveContainers: Kind(HTTPStatus.CONFLICT, "max-below-live-containers"),
    dom.BelowMinInstances: Kind(HTTPStatus.CONFLICT, "below-min-instances"),
    dom.HostnameTaken: Kind(HTTPStatus.CONFLICT, "hostname-taken"),
    dom.NoFreePort: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "no-free-port", 30),
    dom.ContainerRefuses: Kind(HTTPStatus.CONFLICT, "container-refuses"),
    app.NotFound: Kind(HTTPStatus.NOT_FOUND, "not-found"),
    app.Superseded: Kind(HTTPStatus.CONFLICT, "superseded"),
    # Operators' commands are no requests; this is for whoever serves them elsewhere.
    app.CommandRefused: Kind(HTTPStatus.CONFLICT, "command-refused"),
    app.SweepDoubted: Kind(HTTPStatus.CONFLICT, "sweep-doubted"),
    app.LeaseLost: Kind(HTTPStatus.CONFLICT, "lease-lost"),
    app.DatabaseUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", 5),
    # While one version follows another: the api that comes next can read it.
    app.UnreadableRow: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unreadable-row", 5),
    app.InsufficientStorage: Kind(HTTPStatus.INSUFFICIENT_STORAGE, "insufficient-storage", 60),
    app.VolumeUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "volume-unavailable", 60),
    app.VolumeUntrusted: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "volume-untrusted", 60),
    app.MalformedUpload: Kind(HTTPStatus.BAD_REQUEST, "malformed-upload"),
    app.InvalidForm: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    app.UploadTooLarge: Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "upload-too-large"),
    app.InvalidArchive: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-archive"),
    # The api drives no engine; these are for whoever embeds the use cases elsewhere.
    app.EngineError: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "engine-trouble", 5),
}


def kind_of(error: Exception) -> Kind | None:
    """Return how an error is told, by the nearest class in the table."""
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), None)


async def known_problem(_: Request, error: Exception) -> Response:
    """Tell an error of the domain or the application."""
    kind = kind_of(error)
    if kind is None:
        raise error
    headers = {}
    if kind.retry_after_seconds is not None:
        headers["Retry-After"] = str(kind.retry_after_seconds)
    return problem(kind.status, kind.name, str(error), _extensions(error), headers)


async def request_problem(_: Request, error: Exception) -> Response:
    """Tell a refusal of the edge itself."""
    assert isinstance(error, RequestProblem)  # noqa: S101 - registered for this class alone
    headers = {"Retry-After": "5"} if error.status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return problem(error.status, error.name, error.detail, {}, headers)


async def http_problem(request: Request, error: Exception) -> Response:
    """Tell what Starlette refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    status = HTTPStatus(error.status_code)
    name = status.phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_of_path(request)))
    return problem(status, name, error.detail, {}, headers)


async def disconnected_problem(_: Request, __: Exception) -> Response:
    """Answer a client that hung up in its body: nobody reads it, and nothing went wrong here."""
    return problem(HTTPStatus.BAD_REQUEST, "truncated-request", "the request broke off", {}, {})


async def unforeseen_problem(request: Request, error: Exception) -> Response:
    """Tell that it is our fault, and nothing else; the request's id leads to the log."""
    # Starlette answers this one outside of the middleware that adds the id otherwise.
    request_id = getattr(request.state, "request_id", "")
    log.error("request failed", path=request.url.path, request_id=request_id, exc_info=error)
    headers = {"X-Request-Id": request_id}
    return problem(500, "internal-error", "an internal error occurred", {}, headers)


def problem(
    status: int,
    name: str,
    detail: str,
    extensions: Mapping[str, object],
    headers: Mapping[str, str],
) -> Response:
    """Build a problem response."""
    body = {
        "type": URN + name,
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **extensions,
    }
    return Response(
        msgspec.json.encode(body), int(status), headers=dict(headers), media_type=CONTENT_TYPE
    )


def _methods_of_path(request: Request) -> set[str]:
    """Return every method that the path takes; Starlette tells those of one route only."""
    return {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }


def _extensions(error: Exception) -> dict[str, object]:
    extensions: dict[str, object] = {}
    match error:
        case dom.InvalidValue():
            extensions = {"errors": [{"field": error.field, "message": error.message}]}
        case app.InvalidForm():
            extensions = {
                "errors": [{"field": name, "message": text} for name, text in error.problems]
            }
        case app.InvalidArchive():
            extensions = {"errors": [{"field": "file", "message": str(error)}]}
        case dom.InstanceLimitReached():
            extensions = {
                "max_instances": error.max_instances,
                "left": error.left,
                "requested": error.requested,
            }
        case dom.ImageHasLiveContainers() | dom.MaxBelowLiveContainers():
            extensions = {"live_containers": error.count}
        case dom.BelowMinInstances():
            extensions = {"min_instances": error.min_instances, "left": error.left}
        case dom.ContainerRefuses() | dom.ImageRefuses():
            extensions = {"current": error.current, "requested": error.requested}
        case dom.ImageNotUsable():
            extensions = {"current": error.status}
        case app.Superseded():
            extensions = {"container_ids": list(error.container_ids)}
    return extensions
