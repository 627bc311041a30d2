"""What a crash leaves behind, and what is recorded that says whether anybody needs it.

    an upload           .incoming/…, nobody's once its request has ended
    an image's folder   {user_id}/{image_id}, while the image is not deleted
    a build log         {user_id}/{image_id}/builds/{build_id}.log, as long as its build is recorded
    a Docker tag        the public one of an image that is not deleted; the one of a build that is
                        needed
    an untagged image   while the build that made it is needed

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
    """An image that is not deleted.

    Attributes:
        tag: of its public tag.
    """

    user_id: str
    tag: str


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

    def needs_build(self, image_id: int, build_id: int) -> bool:
        build = self.builds.get(build_id)
        return build is not None and build.needed and build.image_id == image_id

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

    def is_needed(self, recorded: Recorded) -> bool:
        image = recorded.images.get(self.image_id)
        return image is not None and image.user_id == self.user_id


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

    def is_needed(self, recorded: Recorded) -> bool:
        """Not without its folder's image: then it goes with the folder, if at all."""
        build = recorded.builds.get(self.build_id)
        known = build is not None and build.image_id == self.folder.image_id
        return known or not self.folder.is_needed(recorded)


StoredFile = Upload | ImageFolder | BuildLogFile
