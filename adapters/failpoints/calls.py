"""Ports whose calls can fail before and after they are made: the engine, the volume.

What a port has beside the calls that are named is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from adapters.failpoints.names import ENGINE, VOLUME, EngineCall, VolumeCall, after, before
from adapters.failpoints.registry import Failpoints
from adapters.volume.context_store import VolumeContextStore
from adapters.volume.stored_files import VolumeStoredFiles
from application.ports import ContainerEngine, ContextExtractor

ENGINE_CALLS: Mapping[str, EngineCall] = {
    "engine_id": EngineCall.ENGINE_ID,
    "list_ours": EngineCall.LIST,
    "list_images": EngineCall.LIST_IMAGES,
    "remove_image": EngineCall.REMOVE_IMAGE,
    "build": EngineCall.BUILD,
    "tag": EngineCall.TAG,
    "remove_tag": EngineCall.REMOVE_TAG,
    "create": EngineCall.CREATE,
    "start": EngineCall.START,
    "stop": EngineCall.STOP,
    "remove": EngineCall.REMOVE,
    "inspect": EngineCall.INSPECT,
    "log_lines": EngineCall.LOG_LINES,
}
VOLUME_CALLS: Mapping[str, VolumeCall] = {
    "extract": VolumeCall.EXTRACT,
    "store": VolumeCall.STORE,
    "remove": VolumeCall.REMOVE,
}

Port = TypeVar("Port")


def engine_with_failpoints(engine: ContainerEngine, points: Failpoints | None) -> ContainerEngine:
    """Return the engine; itself if nothing is armed."""
    return _decorated(engine, points, ENGINE, ENGINE_CALLS)


def store_with_failpoints(
    store: VolumeContextStore, points: Failpoints | None
) -> VolumeContextStore:
    """Return the volume; itself if nothing is armed."""
    return _decorated(store, points, VOLUME, VOLUME_CALLS)


def files_with_failpoints(files: VolumeStoredFiles, points: Failpoints | None) -> VolumeStoredFiles:
    """Return what a sweep finds on the volume; itself if nothing is armed."""
    return _decorated(files, points, VOLUME, VOLUME_CALLS)


def extractor_with_failpoints(
    extractor: ContextExtractor, points: Failpoints | None
) -> ContextExtractor:
    """Return the extractor; itself if nothing is armed."""
    return _decorated(extractor, points, VOLUME, VOLUME_CALLS)


def _decorated(port: Port, points: Failpoints | None, place: str, calls: Mapping[str, str]) -> Port:
    if points is None:
        return port
    return cast(Port, FailpointCalls(port, points, place, calls))


class FailpointCalls:
    """A port of which the calls in a table pass `{place}.before-{call}` and `.after-{call}`.

    Args:
        port: what carries them out.
        place: what the names begin with.
        calls: the port's methods with their names.
    """

    def __init__(
        self, port: object, points: Failpoints, place: str, calls: Mapping[str, str]
    ) -> None:
        self._port = port
        self._points = points
        self._place = place
        self._calls = calls

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._port, attribute)
        call = self._calls.get(attribute)
        return found if call is None else partial(self._carry_out, found, call)

    def _carry_out(
        self, method: Callable[..., Any], call: str, *arguments: Any, **named: Any
    ) -> Any:
        self._points.reach(before(self._place, call))
        result = method(*arguments, **named)
        self._points.reach(after(self._place, call))
        return result
