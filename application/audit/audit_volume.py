"""The contexts that images should have on the volume, against the folders that are there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from application.audit.difference import Difference
from application.audit.records import State
from domain.image_status import ImageStatus


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """What is on the volume.

    Attributes:
        contexts: those of the paths asked for that are folders.
        homes: age in seconds of each image's folder, by user and image id.
        incoming: age in seconds of what is uploaded or extracted.
    """

    contexts: Collection[str] = ()
    homes: Mapping[tuple[str, int], float] = field(default_factory=dict)
    incoming: Mapping[str, float] = field(default_factory=dict)


def audit_volume(state: State, volume: VolumeRecord, grace_seconds: float) -> Iterator[Difference]:
    """Compare the volume with the images.

    Args:
        grace_seconds: what is younger may belong to an upload that is under way.
    """
    homes = set()
    for image in state.images.values():
        if image.is_deleted:
            continue
        homes.add((image.user_id, image.id))
        if image.status is not ImageStatus.DELETING and image.source_path not in volume.contexts:
            detail = f"its context {image.source_path} is not there"
            yield Difference("context", "image", str(image.id), detail)
    for (user_id, image_id), age in volume.homes.items():
        if (user_id, image_id) not in homes and age >= grace_seconds:
            detail = f"no image has it, for {age:.0f} s"
            yield Difference("folder-left", "path", f"{user_id}/{image_id}", detail)
    for name, age in volume.incoming.items():
        if age >= grace_seconds:
            detail = f"no upload is that slow: {age:.0f} s"
            yield Difference("incoming-left", "path", name, detail)
