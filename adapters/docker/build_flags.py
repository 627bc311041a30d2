"""What every image is built with: the engine's own BuildKit, plain progress, our labels, a policy.

The engine's own BuildKit resolves the names of images that are on the engine, and all users' are:
`FROM`, `COPY --from` and `RUN --mount=from=` of another user's would read what is in it. Our names
are to be guessed. BuildKit obeys the policy whichever frontend a Dockerfile asks for; by its id no
image is found. Engines before 24 do not know policies, and ignore this one: seen with 20.10.

One BuildKit also has one set of cache mounts (`RUN --mount=type=cache`), by ids that a Dockerfile
chooses: who knows another's id would read what is in it, and choose what that user builds from.
BuildKit's own Dockerfile frontend prefixes ids with a namespace that is given with the build.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from adapters.docker import labels
from application.engine_calls import BuildOrder

# What buildx reads, and hands to BuildKit with the build.
_POLICY = Path(__file__).with_name("source_policy.json")
BUILD_ENVIRONMENT: Mapping[str, str] = {"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(_POLICY)}


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
    # Neither id can hold a slash: no user's id continues another's namespace.
    namespace = f"{installation_id}/{order.user_id}"
    yield from ("--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={namespace}")
    for tag in order.tags:
        yield from ("--tag", tag)
