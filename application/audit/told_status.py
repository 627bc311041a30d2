"""Which status an aggregate may have after what was last told of it.

Not every step is told: a stop that was begun, a start under way, an exited container that becomes
stopped. Whatever is told tells the status it led to.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.container_status import ContainerStatus
from domain.image_status import ImageStatus

_C = ContainerStatus
_I = ImageStatus

# None: nothing was told yet.
_CONTAINER: Mapping[str | None, frozenset[ContainerStatus]] = {
    None: frozenset({_C.CREATING, _C.DELETING, _C.DELETED}),
    _C.RUNNING: frozenset({_C.RUNNING, _C.STOPPING, _C.DELETING}),
    _C.STOPPED: frozenset({_C.STOPPED, _C.STARTING, _C.DELETING}),
    _C.EXITED: frozenset({_C.EXITED, _C.STOPPED, _C.STARTING, _C.DELETING}),
    _C.FAILED: frozenset({_C.FAILED, _C.DELETING}),
    _C.DELETING: frozenset({_C.DELETING}),
    _C.DELETED: frozenset({_C.DELETED}),
}

_IMAGE: Mapping[str | None, frozenset[ImageStatus]] = {
    # Rows of before the ledger.
    None: frozenset({_I.REGISTERED, _I.DELETING}),
    _I.BUILDING: frozenset({_I.BUILDING, _I.DELETING}),
    _I.READY: frozenset({_I.READY, _I.DELETING}),
    _I.BUILD_FAILED: frozenset({_I.BUILD_FAILED, _I.DELETING}),
    _I.BUILD_CANCELLED: frozenset({_I.BUILD_CANCELLED, _I.DELETING}),
    _I.DELETING: frozenset({_I.DELETING}),
    _I.DELETED: frozenset({_I.DELETED}),
}

_TABLES: Mapping[str, Mapping[str | None, frozenset[ContainerStatus] | frozenset[ImageStatus]]] = {
    "container": _CONTAINER,
    "image": _IMAGE,
}


def may_follow(kind: str, told: str | None, status: str) -> bool:
    """Return whether `status` may stand in the row when `told` is the last that was told.

    Args:
        kind: "container" or "image".
        told: the status of the last event, None if there was none.
        status: the one that is recorded.
    """
    return status in _TABLES[kind].get(told, frozenset())
