"""The places that each operation passes, so that none stops to be let die at one unnoticed.

What is made of several steps passes most of them in several transactions: those are not counted
here, for where a transaction ends is not what an operation is.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.failpoints.names import ENGINE, EngineCall, after, before

_LOOKS = "engine.inspect reconcile.commit"
_BUILDS = "build.commit engine.build engine.engine-id engine.tag"
_REMOVES = "engine.engine-id engine.remove-tag remove-image.commit reconcile.commit volume.remove"
_TAKES_DOWN = f"{_LOOKS} engine.engine-id engine.stop engine.remove"


def _both_sides(what: str) -> frozenset[str]:
    pairs = (each.split(".") for each in what.split())
    return frozenset(side(place, each) for place, each in pairs for side in (before, after))


# A build that is ended while it runs gives no answer.
_NO_ANSWER = {after(ENGINE, EngineCall.BUILD)}

PASSED: Mapping[str, frozenset[str]] = {
    "upload": _both_sides("upload.commit volume.extract volume.store"),
    "build": _both_sides(_BUILDS),
    "rebuild": _both_sides(f"rebuild.commit {_BUILDS}"),
    "cancel": _both_sides("cancel.commit build.commit"),
    "cancel-running": _both_sides(
        "cancel.commit build.commit engine.engine-id engine.build leases.commit"
    )
    - _NO_ANSWER,
    "patch": _both_sides("patch.commit keep-instances.commit reconcile.commit"),
    "create": _both_sides(f"create.commit {_LOOKS} engine.create engine.start"),
    "stop": _both_sides(f"change.commit {_LOOKS} engine.stop"),
    "start": _both_sides(f"change.commit {_LOOKS} engine.start"),
    "delete": _both_sides(f"change.commit {_TAKES_DOWN}"),
    "crash": _both_sides(f"{_LOOKS} engine.log-lines"),
    "keep-instances": _both_sides(f"keep-instances.commit {_LOOKS} engine.create engine.start"),
    "replace": _both_sides(
        f"change.commit {_TAKES_DOWN} keep-instances.commit engine.create engine.start"
    ),
    "image-delete": _both_sides(f"delete-image.commit {_REMOVES}"),
    "delete-building": _both_sides(
        f"delete-image.commit {_REMOVES} build.commit engine.build leases.commit"
    )
    - _NO_ANSWER,
    "force-delete": _both_sides(f"delete-image.commit {_TAKES_DOWN} {_REMOVES}"),
    "pass": _both_sides(f"{_LOOKS} census.commit engine.engine-id engine.list engine.remove"),
    "sweep": _both_sides(
        "sweep.commit engine.engine-id engine.list-images engine.remove-image engine.remove-tag"
        " volume.remove"
    ),
    "audit": _both_sides("engine.engine-id engine.list engine.list-images"),
}
