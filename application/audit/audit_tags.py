"""The tags that images should have on an engine, and what is there of images that nobody needs.

A tag of no image is told at once. What a build left behind is for a sweep, and so is what a later
build replaced: it is told once it should have been swept, counted from when it was needed last, as
far as that is recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from application.audit.difference import Difference
from application.audit.records import ImageRecord, State
from application.docker_names import DockerName, DockerTag, ListedImage, docker_names
from application.leftovers import Recorded, RecordedBuild, RecordedImage
from domain.container_status import ContainerStatus


@dataclass(frozen=True, slots=True)
class Listed:
    """What bears our label on one engine.

    Attributes:
        images: all of them, tagged or not.
        at: when that was asked.
    """

    images: Collection[ListedImage] = ()
    at: datetime | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """Every tag, with the Docker image id it stands for."""
        return {tag: image.docker_image_id for image in self.images for tag in image.tags}


def audit_tags(
    state: State, engine_id: str, listed: Listed, grace_seconds: float
) -> Iterator[Difference]:
    """Compare images of one engine.

    Args:
        grace_seconds: within which a sweep removes what nobody needs any more.
    """
    builds: dict[int, set[int]] = defaultdict(set)
    for build in state.builds.values():
        builds[build.image_id].add(build.id)
    allowed = set()
    for image in state.images.values():
        if not image.is_deleted:
            allowed |= {image.public_tag, *(_build_tag(image, each) for each in builds[image.id])}
            yield from _audit_image(state, engine_id, image, listed.tags)
    for tag, docker_image_id in listed.tags.items():
        if tag not in allowed:
            detail = f"{docker_image_id} has it, and no image that is not deleted"
            yield Difference("tag-left", "tag", tag, detail)
    yield from _audit_leftovers(state, listed, allowed, grace_seconds)


def _audit_image(
    state: State, engine_id: str, image: ImageRecord, tags: Mapping[str, str]
) -> Iterator[Difference]:
    active = state.builds.get(image.active_build_id) if image.active_build_id is not None else None
    if active is None or active.engine_id != engine_id:
        return
    expected = [_build_tag(image, active.id)]
    if active.public_tag_set:
        expected.append(image.public_tag)
    for tag in expected:
        if tags.get(tag) != active.docker_image_id:
            there = tags.get(tag, "nothing")
            detail = f"{tag} should stand for {active.docker_image_id}, and {there} does"
            yield Difference("tag", "image", str(image.id), detail)


def _audit_leftovers(
    state: State, listed: Listed, allowed: Collection[str], grace_seconds: float
) -> Iterator[Difference]:
    """Find what a sweep removes, by its own rule of what is needed."""
    recorded = _recorded(state)
    for name in docker_names(listed.images):
        told = isinstance(name, DockerTag) and name.name not in allowed
        if told or name.is_needed(recorded) or name.touched_at is None or listed.at is None:
            continue
        since = max([name.touched_at, *_needed_until(state, name)])
        age_seconds = (listed.at - since).total_seconds()
        if age_seconds >= grace_seconds:
            tagged = isinstance(name, DockerTag)
            kind, about = ("build-tag-left", "tag") if tagged else ("image-left", "docker")
            detail = f"no build and no container needs it, for {age_seconds:.0f} s"
            yield Difference(kind, about, name.label, detail)


def _needed_until(state: State, name: DockerName) -> Iterator[datetime]:
    """Return the times at which it may have been needed last."""
    build = state.builds.get(name.build_id) if name.build_id is not None else None
    if build is None:
        return
    image = state.images.get(build.image_id)
    for build_id in (build.id, None if image is None else image.active_build_id):
        each = None if build_id is None else state.builds.get(build_id)
        if each is not None and each.finished_at is not None:
            yield each.finished_at
    yield from (made.wished_at for made in state.containers.values() if made.build_id == build.id)


def _recorded(state: State) -> Recorded:
    in_use = {
        container.build_id
        for container in state.containers.values()
        if container.status is not ContainerStatus.DELETED
    }
    living = {each.id: each for each in state.images.values() if not each.is_deleted}
    active = {image.active_build_id for image in living.values()}
    return Recorded(
        {
            image.id: RecordedImage(image.user_id, image.public_tag.rpartition(":")[2])
            for image in living.values()
        },
        {
            build.id: RecordedBuild(
                build.image_id,
                build.docker_image_id,
                needed=build.is_unfinished or build.due or build.id in active | in_use,
            )
            for build in state.builds.values()
        },
    )


def _build_tag(image: ImageRecord, build_id: int) -> str:
    return f"{image.repository}:b{build_id}"
