"""What a crash leaves behind, and what is recorded that says whether anybody needs it.

    an upload           .incoming/…, nobody's once its request has ended
    an image's folder   {user_id}/{image_id}, while the image is not deleted
    a build log         {user_id}/{image_id}/builds/{build_id}.log, as long as its build is recorded
    a Docker tag        the public one of an image that is not deleted; the one of a build that is
                        needed
    an untagged image   while the build that made it is needed

What has a row, and be it a deleted one, is known; what has none is unknown. Little of that is a
crash's, much of it says that this is not what the record is of.

A build is needed while it is unfinished, while it is its image's good one, and while a container
that is not deleted was made from it. Nothing here looks at age: what is not recorded yet is told
apart from what is not recorded any more by a grace (`application/sweep_leftovers.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a leftover is."""

    UPLOAD = "upload"
    CONTEXT = "context"
    BUILD_LOG = "build-log"
    TAG = "tag"
    UNTAGGED_IMAGE = "untagged-image"


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """An image.

    Attributes:
        tag: of its public tag.
    """

    user_id: str
    tag: str
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class RecordedBuild:
    """A build, finished or not.

    Attributes:
        needed: see above.
    """

    image_id: int
    docker_image_id: str | None
    needed: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database says of everything that was found, by id."""

    images: Mapping[int, RecordedImage]
    builds: Mapping[int, RecordedBuild]

    def image(self, image_id: int, user_id: str) -> RecordedImage | None:
        """Return the image, deleted or not; None unless it is this user's."""
        image = self.images.get(image_id)
        return image if image is not None and image.user_id == user_id else None

    def knows_build(self, image_id: int, build_id: int) -> bool:
        build = self.builds.get(build_id)
        return build is not None and build.image_id == image_id

    def needs_build(self, image_id: int, build_id: int) -> bool:
        return self.knows_build(image_id, build_id) and self.builds[build_id].needed

    def needs_docker_image(self, docker_image_id: str) -> bool:
        return any(
            build.needed and build.docker_image_id == docker_image_id
            for build in self.builds.values()
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """A file or folder of an upload that is received or extracted, or was.

    Attributes:
        name: within `.incoming/`.
    """

    name: str

    @property
    def kind(self) -> Kind:
        return Kind.UPLOAD

    @property
    def label(self) -> str:
        return f".incoming/{self.name}"

    def is_known(self, _: Recorded) -> bool:
        """None is ever recorded, which says nothing."""
        return True

    def is_needed(self, _: Recorded) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The folder with an image's context and build logs."""

    user_id: str
    image_id: int

    @property
    def kind(self) -> Kind:
        return Kind.CONTEXT

    @property
    def label(self) -> str:
        return f"{self.user_id}/{self.image_id}"

    def is_known(self, recorded: Recorded) -> bool:
        return recorded.image(self.image_id, self.user_id) is not None

    def is_needed(self, recorded: Recorded) -> bool:
        image = recorded.image(self.image_id, self.user_id)
        return image is not None and not image.is_deleted


@dataclass(frozen=True, slots=True)
class BuildLogFile:
    """The log of a build."""

    folder: ImageFolder
    build_id: int

    @property
    def kind(self) -> Kind:
        return Kind.BUILD_LOG

    @property
    def label(self) -> str:
        return f"{self.folder.label}/builds/{self.build_id}.log"

    def is_known(self, recorded: Recorded) -> bool:
        return recorded.knows_build(self.folder.image_id, self.build_id)

    def is_needed(self, recorded: Recorded) -> bool:
        """Not without its folder's image: then it goes with the folder, if at all."""
        return self.is_known(recorded) or not self.folder.is_needed(recorded)


StoredFile = Upload | ImageFolder | BuildLogFile
