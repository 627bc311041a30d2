"""What we name on an engine: tags of ours, and images of ours that have lost theirs.

Images are listed by the label of our installation. Beyond it a tag has to name the very image that
stands in the labels, and an image without a tag has to bear all that a build of ours writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from application.leftovers import Kind, Recorded

# As `Image.repository` names it. A user's id may look like the rest of it: the last one counts.
_TAG = re.compile(
    r"nvidia-app-u(?P<user>[a-z0-9]+(?:-[a-z0-9]+)*)-i(?P<image>[1-9][0-9]{0,17})"
    r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})"
)
_BUILD_TAG = re.compile(r"b([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image on an engine.

    Attributes:
        tags: its names, as `repository:tag`.
        image_id: the image in its labels, None if it bears none.
        build_id: the build in its labels, None if it bears none.
        touched_at: when it was made or tagged last, whichever was later; None if that is not told.
        installation_id: whose label it bears, None if it bears none.
    """

    docker_image_id: str
    tags: Sequence[str]
    image_id: int | None
    build_id: int | None
    touched_at: datetime | None
    installation_id: str | None = None


@dataclass(frozen=True, slots=True)
class DockerTag:
    """A tag of ours on an image of ours."""

    name: str
    docker_image_id: str
    user_id: str
    image_id: int
    tag: str
    touched_at: datetime | None

    @property
    def kind(self) -> Kind:
        return Kind.TAG

    @property
    def label(self) -> str:
        return self.name

    @property
    def build_id(self) -> int | None:
        """The build that set it, None if it is no build's."""
        found = _BUILD_TAG.fullmatch(self.tag)
        return int(found[1]) if found else None

    def is_known(self, recorded: Recorded) -> bool:
        if recorded.image(self.image_id, self.user_id) is None:
            return False
        return self.is_needed(recorded) or (
            self.build_id is None or recorded.knows_build(self.image_id, self.build_id)
        )

    def is_needed(self, recorded: Recorded) -> bool:
        image = recorded.image(self.image_id, self.user_id)
        if image is None or image.is_deleted:
            return False
        if self.build_id is None or self.tag == image.tag:
            # The public one, or one that somebody else has set.
            return True
        return recorded.needs_build(self.image_id, self.build_id)


@dataclass(frozen=True, slots=True)
class UntaggedImage:
    """An image of ours that has no name any more."""

    docker_image_id: str
    image_id: int
    build_id: int
    touched_at: datetime | None

    @property
    def kind(self) -> Kind:
        return Kind.UNTAGGED_IMAGE

    @property
    def label(self) -> str:
        return self.docker_image_id

    def is_known(self, recorded: Recorded) -> bool:
        return recorded.knows_build(self.image_id, self.build_id)

    def is_needed(self, recorded: Recorded) -> bool:
        if recorded.needs_docker_image(self.docker_image_id):
            return True
        # It may be about to get its tag. Of a build that has ended it is an earlier attempt's.
        return (
            recorded.needs_build(self.image_id, self.build_id)
            and recorded.builds[self.build_id].docker_image_id is None
        )


DockerName = DockerTag | UntaggedImage


def docker_names(listed: Collection[ListedImage]) -> list[DockerName]:
    """Return what we set on an engine, tag by tag; what is anybody else's is left out."""
    names: list[DockerName] = []
    for image in listed:
        if image.tags:
            names += (tag for name in image.tags if (tag := _our_tag(image, name)) is not None)
        elif image.image_id is not None and image.build_id is not None:
            names.append(
                UntaggedImage(
                    image.docker_image_id, image.image_id, image.build_id, image.touched_at
                )
            )
    return names


def _our_tag(image: ListedImage, name: str) -> DockerTag | None:
    """Read a tag; None for one that we did not set."""
    found = _TAG.fullmatch(name)
    if found is None or int(found["image"]) != image.image_id:
        return None
    return DockerTag(
        name,
        image.docker_image_id,
        found["user"],
        int(found["image"]),
        found["tag"],
        image.touched_at,
    )
