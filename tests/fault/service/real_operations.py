"""How each operation is done on a real engine, through the api: the same names, the same ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from tests.fault.service import real_preparations as before
from tests.fault.service.requests import PATCHED
from tests.fault.service.stage import Stage

Request = Callable[[Stage, httpx.Client], object]


def _nothing(stage: Stage) -> None:
    pass


def _ask_nothing(stage: Stage, http: httpx.Client) -> None:
    pass


def _nothing_more(stage: Stage) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class RealOperation:
    """One row of the table.

    Attributes:
        prepare: brings everything to where it begins, while a worker is at work.
        lead_up: what happens then, while none is.
        request: asks an api for it.
        command: what is let die, unless it is the api.
        begun: when the request is made, of a worker that is at work; None: before there is one.
        waits_for: what has yet to come to its end that nothing tells of.
        apart: places that follow from none of the changes that precede them in one thread.
    """

    prepare: Callable[[Stage], object] = _nothing
    lead_up: Callable[[Stage], object] = _nothing
    request: Request = _ask_nothing
    command: str = "worker"
    begun: Callable[[Stage], bool] | None = None
    waits_for: Callable[[Stage], Sequence[str]] = _nothing_more
    apart: frozenset[str] = frozenset()


# ---- requests ------------------------------------------------------------------------------


def _ask_upload(stage: Stage, http: httpx.Client) -> None:
    # Whether there is an image then is not for its uploader to know.
    stage.upload(http)


def _ask_image(method: str, suffix: str, json: object = None) -> Request:
    def request(stage: Stage, http: httpx.Client) -> None:
        path = f"/api/images/{stage.image_id}{suffix}"
        http.request(method, path, json=json).raise_for_status()

    return request


def _ask_create(stage: Stage, http: httpx.Client) -> None:
    http.post(f"/api/containers/{stage.image_id}?wait=0").raise_for_status()


def _ask(verb: str) -> Request:
    return lambda stage, http: stage.wish(http, verb)


_PATCH = {
    "min_instances": PATCHED.min_instances,
    "max_instances": PATCHED.max_instances,
    "cpu_limit": float(PATCHED.cpu_limit),
    "memory_limit": PATCHED.memory_limit,
    "restart_policy": PATCHED.restart_policy,
}
_CANCEL = _ask_image("POST", "/cancel?wait=0")


def _sides(what: str) -> frozenset[str]:
    """The places before and after it."""
    place, _, call = what.partition(".")
    return frozenset({f"{place}.before-{call}", f"{place}.after-{call}"})


REAL_OPERATIONS: Mapping[str, RealOperation] = {
    "upload": RealOperation(request=_ask_upload),
    "build": RealOperation(lead_up=before.upload),
    "rebuild": RealOperation(before.own_running, request=_ask_image("POST", "/rebuild")),
    "cancel": RealOperation(lead_up=before.upload, request=_CANCEL),
    "cancel-running": RealOperation(
        lead_up=before.upload_slow, request=_CANCEL, begun=before.builds_by_now
    ),
    "patch": RealOperation(before.own_second, request=_ask_image("PATCH", "", _PATCH)),
    "create": RealOperation(before.shared, request=_ask_create),
    "stop": RealOperation(before.running, request=_ask("stop")),
    "start": RealOperation(before.stopped, request=_ask("start")),
    "delete": RealOperation(before.running, request=_ask("delete")),
    "crash": RealOperation(before.running, lead_up=before.kill),
    "keep-instances": RealOperation(before.own_image, lead_up=before.want_one),
    # The instance is replaced as soon as its end is wished, not when it has come.
    "replace": RealOperation(before.kept, request=_ask("delete"), apart=_sides("engine.create")),
    "image-delete": RealOperation(before.own_image, request=_ask_image("DELETE", "?wait=0")),
    "delete-building": RealOperation(
        lead_up=before.upload_slow,
        request=_ask_image("DELETE", "?wait=0"),
        begun=before.builds_by_now,
    ),
    "force-delete": RealOperation(
        before.own_running, request=_ask_image("DELETE", "?force=true&wait=0")
    ),
    # What a pass nominates is claimed while it removes strangers.
    "pass": RealOperation(
        before.running,
        lead_up=before.meddle,
        apart=_sides("engine.inspect") | _sides("reconcile.commit"),
    ),
    # In whatever order the engine lists them.
    "sweep": RealOperation(
        before.rebuilt,
        lead_up=before.litter,
        waits_for=before.unswept,
        apart=_sides("engine.remove-image") | _sides("engine.remove-tag"),
    ),
    "audit": RealOperation(before.running, command="audit"),
}
