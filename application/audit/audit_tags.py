"""The tags that images should have on an engine, against those that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from application.audit.difference import Difference
from application.audit.records import ImageRecord, State


def audit_tags(state: State, engine_id: str, tags: Mapping[str, str]) -> Iterator[Difference]:
    """Compare tags of one engine.

    Args:
        tags: every tag of images with our label there, with the Docker image id it stands for.
    """
    builds: dict[int, set[int]] = defaultdict(set)
    for build in state.builds.values():
        builds[build.image_id].add(build.id)
    allowed = set()
    for image in state.images.values():
        if not image.is_deleted:
            allowed |= {image.public_tag, *(_build_tag(image, each) for each in builds[image.id])}
            yield from _audit_image(state, engine_id, image, tags)
    for tag, docker_image_id in tags.items():
        if tag not in allowed:
            detail = f"{docker_image_id} has it, and no image that is not deleted"
            yield Difference("tag-left", "tag", tag, detail)


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


def _build_tag(image: ImageRecord, build_id: int) -> str:
    return f"{image.repository}:b{build_id}"
