"""Where a process can be made to fail: a closed set, each place before and after what it is named.

    {use case}.before-commit    its transaction has done its work and is not committed yet
    {use case}.after-commit     it is committed, nobody has been told
    engine.before-{call}        the call is covered by its lease and not made yet
    engine.after-{call}         it was carried out, its caller does not know yet
    volume.before-{call}        the same for files: a context is extracted, stored, removed
    volume.after-{call}

A use case that commits several times passes its places each time: `@N` chooses one. Of a worker's
presence only the end of another one's leases is a transaction; that it is there it says each second
in a statement that changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class UseCase(StrEnum):
    """What commits transactions."""

    UPLOAD = "upload"
    REBUILD = "rebuild"
    CANCEL = "cancel"
    PATCH = "patch"
    DELETE_IMAGE = "delete-image"
    CREATE = "create"
    CHANGE = "change"
    BUILD = "build"
    RECONCILE = "reconcile"
    REMOVE_IMAGE = "remove-image"
    KEEP_INSTANCES = "keep-instances"
    LEASES = "leases"
    CENSUS = "census"
    SWEEP = "sweep"
    ENGINES = "engines"
    PRESENCE = "presence"
    LOST = "lost"
    TRUST = "trust"
    RESTORED = "restored"


class EngineCall(StrEnum):
    """What is asked of Docker."""

    ENGINE_ID = "engine-id"
    LIST = "list"
    LIST_IMAGES = "list-images"
    REMOVE_IMAGE = "remove-image"
    BUILD = "build"
    TAG = "tag"
    REMOVE_TAG = "remove-tag"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    INSPECT = "inspect"
    LOG_LINES = "log-lines"


class VolumeCall(StrEnum):
    """What makes or removes files of more than one use case's time."""

    EXTRACT = "extract"
    STORE = "store"
    REMOVE = "remove"


def before(place: str, what: str) -> str:
    return f"{place}.before-{what}"


def after(place: str, what: str) -> str:
    return f"{place}.after-{what}"


COMMIT = "commit"
ENGINE = "engine"
VOLUME = "volume"


def _both(place: str, what: Iterable[str]) -> set[str]:
    return {side(place, each) for each in what for side in (before, after)}


ENGINE_REPLIES = frozenset(after(ENGINE, call) for call in EngineCall)
NAMES = frozenset(
    {name for use_case in UseCase for name in _both(use_case, [COMMIT])}
    | _both(ENGINE, EngineCall)
    | _both(VOLUME, VolumeCall)
)
