"""What requests carry: ids in paths, `?wait=`, JSON bodies; each checked or refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from application.errors import InvalidForm, NotFound
from domain.errors import InvalidValue
from entrypoints.http.problems import RequestProblem

# PostgreSQL's bigint; anything beyond was never given out.
MAX_ID = 2**63 - 1
DEFAULT_WAIT_SECONDS = 30.0
MAX_WAIT_SECONDS = 300.0
# The largest body is a create's: 32 KiB of env, JSON-escaped at worst sixfold.
MAX_JSON_BYTES = 256 * 1024

Body = TypeVar("Body", bound=msgspec.Struct)
T = TypeVar("T")


class CreateContainersBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/containers/{image_id}; it may be empty."""

    name: str | None = None
    count: int = 1
    env: dict[str, str] = msgspec.field(default_factory=dict)


def path_id(request: Request, name: str, kind: str) -> int:
    """Return the id in the path.

    Raises:
        NotFound: it is no id that could exist.
    """
    text = request.path_params[name]
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_ID)):
        raise NotFound(kind)
    if not 1 <= int(text) <= MAX_ID:
        raise NotFound(kind)
    return int(text)


def wait_seconds(request: Request) -> float:
    """Return how long the caller waits for the outcome, `?wait=`, in seconds.

    Raises:
        InvalidValue: it is no number from 0 to 300.
    """
    text = request.query_params.get("wait")
    if text is None:
        return DEFAULT_WAIT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise InvalidValue("wait", f"must be seconds from 0 to {MAX_WAIT_SECONDS:g}")
    return seconds


def flag(request: Request, name: str) -> bool:
    """Return whether `?name=true` was asked for.

    Raises:
        InvalidValue: it is neither true nor false.
    """
    text = request.query_params.get(name, "false")
    if text not in {"true", "false"}:
        raise InvalidValue(name, "must be true or false")
    return text == "true"


async def json_body(request: Request, type_: type[Body]) -> Body:
    """Decode the body; an empty one means all defaults.

    Raises:
        RequestProblem: 413 too large, 415 not JSON by its type, 400 malformed.
        InvalidForm: a field is unknown, or of the wrong type.
    """
    data = await _received(request)
    return _decoded(data, type_) if data else type_()


async def json_fields(request: Request) -> dict[str, Any]:
    """Decode the body into its fields, each still to be checked; an empty one has none.

    Raises:
        RequestProblem: as `json_body`.
        InvalidForm: it is no object.
    """
    data = await _received(request)
    return _decoded(data, dict[str, Any]) if data else {}


async def _received(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            raise RequestProblem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body-too-large",
                f"the body is larger than {MAX_JSON_BYTES} bytes",
            )
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if data and content_type != "application/json":
        raise RequestProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "the body must be application/json",
        )
    return bytes(data)


def _decoded(data: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as exc:
        raise InvalidForm([_field_and_message(exc)]) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RequestProblem(
            HTTPStatus.BAD_REQUEST, "malformed-json", "the body is not well-formed JSON"
        ) from exc


def _field_and_message(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split msgspec's "Expected `int`, got `str` - at `$.count`"."""
    message, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    if not field and "unknown field" in message:
        field = message.rpartition("`")[0].rpartition("`")[2]
    return field or "body", message
