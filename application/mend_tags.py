"""Set tags back that somebody moved late, and did not live to make good.

A lease fences PostgreSQL, not Docker: a worker that was paused may set a tag long after others did
(`application/publish_tag.py`). If it dies right then, nobody knows of it, and what is recorded says
that the tag is as it should be. So whoever lists the images of an engine compares.

Only a tag that leads to another image of ours is set back. One that is not listed was removed, or
another installation has taken it, which would take it again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from application.docker_names import ListedImage
from application.publish_tag import PublishTag


@dataclass(frozen=True, slots=True)
class BuildInUse:
    """The good build of an image that is not to be deleted.

    Attributes:
        public_tag: of its image, None while it is not set to this build.
    """

    image_id: int
    build_id: int
    docker_image_id: str
    build_tag: str
    public_tag: str | None


class TagRecord(Protocol):
    """Which tags should lead where."""

    def builds_in_use(
        self, engine_id: str, docker_image_ids: Collection[str]
    ) -> Sequence[BuildInUse]:
        """Return the builds in use that were made on this engine and are one of these images."""


@dataclass(frozen=True, slots=True)
class AstrayTag:
    """A tag that leads to another image than the one that is recorded."""

    name: str
    build: BuildInUse

    @property
    def is_public(self) -> bool:
        return self.name == self.build.public_tag


class MendTags:
    """Finds tags that were moved, and has them set back."""

    def __init__(self, record: TagRecord, publish_tag: PublishTag) -> None:
        self._record = record
        self._publish_tag = publish_tag

    def astray(self, engine_id: str, listed: Collection[ListedImage]) -> list[AstrayTag]:
        """Compare the images of an engine with what is recorded of it afterwards."""
        leads_to = {tag: image.docker_image_id for image in listed for tag in image.tags}
        builds = self._record.builds_in_use(engine_id, [each.docker_image_id for each in listed])
        return [
            AstrayTag(tag, build)
            for build in builds
            for tag in (build.build_tag, build.public_tag)
            if tag is not None and leads_to.get(tag, build.docker_image_id) != build.docker_image_id
        ]

    def set_back(self, tag: AstrayTag) -> None:
        """Set a build's own tag; let the public one be set by whoever takes its build up.

        Raises:
            EngineError: the build's own tag is not set.
        """
        if tag.is_public:
            self._publish_tag.doubt(tag.build.image_id, tag.build.build_id)
        else:
            self._publish_tag.give_back(tag.build.image_id, tag.build.build_id)
