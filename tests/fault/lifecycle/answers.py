"""Which answers the model allows to a request, by what was accepted and what was seen just before.

The service moves on meanwhile: what may have changed by itself allows both answers, and nothing
else does. An answer is named by its status, a refusal by its problem as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.fault.lifecycle.model import Model
from tests.fault.lifecycle.sight import Sight
from tests.fault.lifecycle.wishes import Container, Image, Request, Row, What

ACCEPTED = {"200", "201", "202", "204"}
_NOT_FOUND = "404 not-found"
_REFUSES = "409 container-refuses"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are: at least, at most."""

    least: int
    most: int


class Allowed:
    """The answers to one request.

    Args:
        sight: what was seen right before it.
    """

    def __init__(self, model: Model, sight: Sight) -> None:
        self._sight = sight
        self._containers = {each.id: each for each in model.containers}

    def to(self, request: Request) -> set[str]:
        image = request.image
        if request.what is What.UPLOAD:
            return {"201"}
        if request.container is not None:
            return set(self._of_container(request, request.container))
        if image.gone:
            return {_NOT_FOUND}
        if image.wished_gone:
            return {_NOT_FOUND, _IN_DELETION[request.what]} | (
                {"202", "204"} if request.what is What.DELETE_IMAGE else set()
            )
        return set(self._of_image(request, image))

    # ---- images ----------------------------------------------------------------------------

    def _of_image(self, request: Request, image: Image) -> Iterator[str]:
        row = self._sight.image(image)
        building = row["status"] == "building"
        match request.what:
            case What.REBUILD:
                yield "200"
                if building:
                    yield "409 image-refuses"
            case What.CANCEL:
                yield "409 image-refuses"
                if building:
                    yield from ("200", "202")
            case What.DELETE_IMAGE:
                live = self._live(image, by_user=True)
                if request.fields["force"] or not live.least:
                    yield from ("202", "204")
                if live.most and not request.fields["force"]:
                    yield "409 image-has-live-containers"
            case What.CREATE:
                yield from self._of_create(request, image, row)
            case _:
                yield from self._of_patch(request, image)

    def _of_create(self, request: Request, image: Image, row: Row) -> Iterator[str]:
        built = row["image_digest"] is not None
        if not built:
            yield "409 image-not-usable"
        if built or (row["status"] == "building" and image.kind.builds):
            live, count = self._live(image), request.fields["count"]
            if live.least + count <= image.limits["max_instances"]:
                yield from ("201", "202")
            if live.most + count > image.limits["max_instances"]:
                yield "409 instance-limit-reached"

    def _of_patch(self, request: Request, image: Image) -> Iterator[str]:
        limits = {**image.limits, **request.fields}
        live = self._live(image)
        if limits["min_instances"] > limits["max_instances"]:
            yield "422 invalid-request"
            return
        if live.least <= limits["max_instances"]:
            yield "200"
        if live.most > limits["max_instances"]:
            yield "409 max-below-live-containers"

    # ---- containers ------------------------------------------------------------------------

    def _of_container(self, request: Request, each: Container) -> Iterator[str]:
        row = self._sight.containers.get(each.id)
        if row is None or each.desired == "deleted" or each.may_go:
            yield _NOT_FOUND
        if row is None:
            return
        if request.what is What.DELETE:
            yield from ("202", "204")
        elif each.desired == "deleted":
            yield _REFUSES
        elif request.what is What.START:
            yield from self._of_start(each, row)
        else:
            yield from self._of_stop(each, row)

    def _of_start(self, each: Container, row: Row) -> Iterator[str]:
        if row["status"] == "failed" or (row["status"] == "creating" and each.may_fail):
            yield _REFUSES
        if row["status"] != "failed":
            yield from ("200", "202")
        if each.image.kept and each.ends:
            # Started again for min_instances before anybody looked.
            yield "409 superseded"

    def _of_stop(self, each: Container, row: Row) -> Iterator[str]:
        if row["status"] in {"creating", "failed"}:
            yield _REFUSES
        if row["status"] == "failed":
            return
        minimum = each.image.limits["min_instances"]
        others = self._wished_running(each)
        if each.desired == "stopped" or others.most >= minimum:
            yield from ("200", "202")
        if each.desired != "stopped" and others.least < minimum:
            yield "409 below-min-instances"

    # ---- what there may be -----------------------------------------------------------------

    def _live(self, image: Image, *, by_user: bool = False) -> Count:
        """Count the containers of an image that hold a slot."""
        rows = [(self._containers[row["id"]], row) for row in self._sight.of(image)]
        counted = [(each, row) for each, row in rows if each.by_user or not by_user]
        least = sum(_holds_certainly(each, row) for each, row in counted)
        most = sum(row["status"] != "failed" for _, row in counted)
        if not by_user and self._may_grow(image):
            most = max(most, image.limits["max_instances"])
        return Count(least, most)

    def _wished_running(self, but: Container) -> Count:
        """Count the other containers of its image that are wished running and did not fail."""
        rows = [
            (self._containers[row["id"]], row)
            for row in self._sight.of(but.image)
            if row["id"] != but.id and row["desired"] == "running" and row["status"] != "failed"
        ]
        least = sum(not (each.may_fail or each.may_go) for each, _ in rows)
        grown = but.image.limits["max_instances"] if self._may_grow(but.image) else 0
        return Count(least, max(len(rows), grown))

    def _may_grow(self, image: Image) -> bool:
        """Whether min_instances may make containers right now."""
        minimum = image.limits["min_instances"]
        certain = sum(
            bool(row["status"] == "running" and not self._containers[row["id"]].may_go)
            for row in self._sight.of(image)
        )
        return certain < int(minimum)


def _holds_certainly(each: Container, row: Row) -> bool:
    if row["status"] in {"failed", "deleting"}:
        return False
    return not (each.may_fail or each.may_go)


_IN_DELETION = {
    What.PATCH: "409 image-in-deletion",
    What.REBUILD: "409 image-refuses",
    What.CANCEL: "409 image-refuses",
    What.DELETE_IMAGE: "204",
    What.CREATE: "409 image-not-usable",
}
