"""The status machine of an image: a closed enum and the one table of legal changes.

    building -> ready | build_failed | build_cancelled     a rebuild goes through building again
    registered -> building                                 the legacy status of old rows
    any -> deleting -> deleted

It tells of the last build, not of whether containers can be made.
"""

from __future__ import annotations

from enum import StrEnum

from domain.transitions import Table


class ImageStatus(StrEnum):
    REGISTERED = "registered"
    BUILDING = "building"
    READY = "ready"
    BUILD_FAILED = "build_failed"
    BUILD_CANCELLED = "build_cancelled"
    DELETING = "deleting"
    DELETED = "deleted"


_S = ImageStatus
_SETTLED = frozenset({_S.BUILDING, _S.DELETING})

TRANSITIONS: Table[ImageStatus] = {
    _S.REGISTERED: _SETTLED,
    _S.BUILDING: frozenset({_S.READY, _S.BUILD_FAILED, _S.BUILD_CANCELLED, _S.DELETING}),
    _S.READY: _SETTLED,
    _S.BUILD_FAILED: _SETTLED,
    _S.BUILD_CANCELLED: _SETTLED,
    _S.DELETING: frozenset({_S.DELETED}),
    _S.DELETED: frozenset(),
}
