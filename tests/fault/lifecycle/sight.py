"""What the api shows at one moment, and what must hold of it at every moment.

Wishes that were accepted show at once and stay, whoever is dead: nothing accepted is lost, nothing
is there that nobody wished, and there are never more containers than max_instances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fault.lifecycle.model import Model, new_container
from tests.fault.lifecycle.wishes import Container, Image, Row

# What a container shows while that is desired of it. A stop that was begun is carried through.
SHOWN = {
    "running": {"creating", "running", "exited", "stopping", "starting", "failed"},
    "stopped": {"stopping", "stopped", "exited"},
    "deleted": {"deleting"},
}
_RAN = {"running", "exited", "starting", "stopping", "stopped"}
# Neither slot nor port is certain of these.
_WITHOUT_SLOT = {"failed", "deleting"}


@dataclass(frozen=True, slots=True)
class Sight:
    """The lists of images and of containers."""

    images: dict[int, Row]
    containers: dict[int, Row]

    def image(self, image: Image) -> Row:
        return self.images[image.id]

    def of(self, image: Image) -> list[Row]:
        return [row for row in self.containers.values() if row["image_id"] == image.id]


def take_in(model: Model, sight: Sight) -> list[str]:
    """Learn what the model cannot know by itself; returns what must not be, a line each."""
    return [
        *_images(model, sight),
        *_new_instances(model, sight),
        *_containers(model, sight),
        *_limits(model, sight),
        *_ports(sight),
    ]


def _images(model: Model, sight: Sight) -> Iterator[str]:
    known = {image.id: image for image in model.images}
    for id_, there in sight.images.items():
        if id_ not in known:
            yield f"image {id_} {there['name']} was never accepted"
        elif known[id_].gone:
            yield f"image {there['name']} is back"
    for image in model.images:
        row = sight.images.get(image.id)
        if row is None:
            if not image.wished_gone:
                yield f"image {image.name} is lost"
            image.gone = True
            continue
        if (row["status"] == "deleting") != image.wished_gone:
            yield f"image {image.name} is {row['status']}, wished gone: {image.wished_gone}"
        shown = {name: row[name] for name in image.limits}
        if shown != image.limits:
            yield f"image {image.name} shows {shown} instead of {image.limits}"
        if image.built and row["image_digest"] is None:
            yield f"image {image.name} lost its good build"
        image.built = row["image_digest"] is not None


def _new_instances(model: Model, sight: Sight) -> Iterator[str]:
    """Containers that nobody asked for are instances of an image that keeps some."""
    known = {each.id for each in model.containers}
    images = {image.id: image for image in model.images}
    for id_, row in sight.containers.items():
        if id_ in known:
            continue
        image = images.get(row["image_id"])
        if image is None or not image.kept or not row["name"].startswith(f"{image.name}-"):
            yield f"container {id_} {row['name']} was never accepted"
        else:
            model.containers.append(new_container(row, image, by_user=False))


def _containers(model: Model, sight: Sight) -> Iterator[str]:
    for each in model.containers:
        row = sight.containers.get(each.id)
        if row is None:
            if not (each.gone or each.desired == "deleted" or each.may_go):
                yield f"container {each.name} is lost"
            each.gone = True
            continue
        if each.gone:
            yield f"container {each.name} is back"
        yield from _desired(each, row)
        each.came_up = each.came_up or row["status"] in _RAN


def _desired(each: Container, row: Row) -> Iterator[str]:
    if row["desired"] == "deleted" and each.may_fail and not each.by_user:
        # Of the instances that failed the newest stays.
        each.desired = "deleted"
    if row["desired"] != each.desired:
        yield f"container {each.name} is desired {row['desired']} instead of {each.desired}"
    if row["status"] not in SHOWN[row["desired"]]:
        yield f"container {each.name} shows {row['status']}, desired {row['desired']}"
    if row["restart_policy"] != each.policy:
        yield f"container {each.name} has policy {row['restart_policy']} instead of {each.policy}"
    if row["status"] == "failed" and not each.may_fail:
        yield f"container {each.name} failed: {row['status_reason']}"


def _limits(model: Model, sight: Sight) -> Iterator[str]:
    for image in model.living():
        live = [row for row in sight.of(image) if row["status"] not in _WITHOUT_SLOT]
        if len(live) > image.limits["max_instances"]:
            yield f"image {image.name} has {len(live)} containers, its limits: {image.limits}"


def _ports(sight: Sight) -> Iterator[str]:
    ports = Counter(row["external_port"] for row in sight.containers.values())
    for port, times in ports.items():
        if port is not None and times > 1:
            yield f"{times} containers have port {port}"
