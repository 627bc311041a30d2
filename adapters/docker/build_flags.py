"""What every image is built with: the engine's own BuildKit, plain progress, our labels."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.docker import labels
from application.engine_calls import BuildOrder


def build_flags(order: BuildOrder, installation_id: str) -> Iterator[str]:
    """Yield the flags of `docker buildx build`."""
    # The engine's own BuildKit, whichever builder the machine's user has chosen for himself.
    yield from ("--builder", "default", "--load", "--progress", "plain", "--provenance=false")
    ours = {
        labels.INSTALLATION_ID: installation_id,
        labels.IMAGE_ID: str(order.image_id),
        labels.BUILD_ID: str(order.build_id),
    }
    for name, value in ours.items():
        yield from ("--label", f"{name}={value}")
    for tag in order.tags:
        yield from ("--tag", tag)
