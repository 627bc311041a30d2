"""The multipart form of an upload: streamed to disk, then its fields checked all at once."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from adapters.multipart.form_parser import GuardedFormParser, ParsedForm
from adapters.volume.disk_space import VolumeDiskSpace
from application.errors import (
    InsufficientStorage,
    InvalidForm,
    MalformedUpload,
    UploadRejected,
    UploadTooLarge,
)
from domain.errors import InvalidValue
from domain.image_spec import ImageSpec
from domain.limits import InstanceLimits, ResourceLimits, checked_container_port, parsed_cpu
from domain.names import checked_hostname, checked_image_name, checked_tag
from domain.restart_policy import parsed_restart_policy
from entrypoints.http.problems import RequestProblem
from entrypoints.http.threads import run_to_its_end

# The most bytes that each text field may have; grammars are checked afterwards.
TEXT_FIELDS = {
    "name": 400,
    "tag": 128,
    "app_hostname": 253,
    "container_port": 16,
    "min_instances": 16,
    "max_instances": 16,
    "cpu_limit": 32,
    "memory_limit": 32,
    "restart_policy": 32,
}
FILE_FIELD = "file"

# Delimiters, part headers and text fields around the file.
FORM_OVERHEAD_BYTES = 64 * 1024
# One hop to a thread for this much, not for each 64 KiB that the socket gives.
FEED_BYTES = 1024 * 1024
STALL_SECONDS = 60.0
# A refusal is sent only when the client listens: what it still sends is read, within bounds.
DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 5.0

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")

T = TypeVar("T")


async def received_form(
    request: Request, target: Path, max_upload_bytes: int, space: VolumeDiskSpace
) -> ParsedForm:
    """Stream the body's file to `target`; nothing of it is left if that fails.

    Raises:
        RequestProblem: 415, the body is no multipart/form-data.
        UploadRejected: the body is malformed, too large, or holds the wrong fields.
        InsufficientStorage: the volume has no room for it, or none any more.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.split(";")[0].strip().lower() != "multipart/form-data":
        raise RequestProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "the body must be multipart/form-data",
        )
    announced_bytes = _announced_bytes(request)
    if announced_bytes > max_upload_bytes + FORM_OVERHEAD_BYTES:
        raise UploadTooLarge(max_upload_bytes)
    await run_to_its_end(partial(space.admit, announced_bytes))
    parser = GuardedFormParser(
        content_type,
        text_fields=TEXT_FIELDS,
        file_field=FILE_FIELD,
        target=target,
        max_upload_bytes=max_upload_bytes,
    )
    chunks = aiter(request.stream())
    try:
        async for data in _gathered(chunks):
            await run_to_its_end(partial(_feed, parser, space, data))
        return await run_to_its_end(parser.finish)
    except (UploadRejected, InsufficientStorage):
        parser.abort()
        await _drain(chunks)
        raise
    except BaseException:
        parser.abort()
        raise


def image_spec(form: ParsedForm, user_id: str) -> ImageSpec:
    """Check every field of the form.

    Raises:
        InvalidForm: with all that is wrong, not just the first.
    """
    fields = form.fields
    problems: list[tuple[str, str]] = []

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except InvalidValue as exc:
            problems.append((exc.field, exc.message))
            return None

    def required(name: str) -> str:
        if not fields.get(name):
            raise InvalidValue(name, "is required")
        return fields[name]

    def number(name: str, default: int) -> int:
        text = (fields.get(name) or str(default)).strip()
        if not _WHOLE_NUMBER.fullmatch(text):
            raise InvalidValue(name, "must be a whole number")
        return int(text)

    name = checked(lambda: checked_image_name(required("name")))
    tag = checked(lambda: checked_tag(fields.get("tag") or "latest"))
    hostname = checked(lambda: checked_hostname(required("app_hostname")))
    port = checked(lambda: checked_container_port(number("container_port", 8080)))
    instances = checked(
        lambda: InstanceLimits(number("min_instances", 0), number("max_instances", 1))
    )
    resources = checked(
        lambda: ResourceLimits(
            parsed_cpu(fields.get("cpu_limit") or "0.5"), fields.get("memory_limit") or "512m"
        )
    )
    policy = checked(lambda: parsed_restart_policy(fields.get("restart_policy") or "on-failure"))
    if not (name and tag and hostname and port and instances and resources and policy):
        raise InvalidForm(problems)
    return ImageSpec(user_id, name, tag, hostname, port, instances, resources, policy)


def _announced_bytes(request: Request) -> int:
    """Return the length that the client announced, 0 if it did not."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _feed(parser: GuardedFormParser, space: VolumeDiskSpace, data: bytes) -> None:
    # Others write to the volume too, and not every body tells its length.
    space.admit(len(data))
    parser.feed(data)


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small chunks, so that threads are asked seldom."""
    gathered = bytearray()
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                gathered += await anext(chunks)
        except StopAsyncIteration:
            break
        except TimeoutError as exc:
            raise MalformedUpload(f"nothing arrived for {STALL_SECONDS:g} seconds") from exc
        if len(gathered) >= FEED_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    deadline, drained = time.monotonic() + DRAIN_SECONDS, 0
    try:
        while drained < DRAIN_BYTES:
            async with asyncio.timeout(deadline - time.monotonic()):
                drained += len(await anext(chunks))
    except (StopAsyncIteration, TimeoutError, ClientDisconnect):
        return
