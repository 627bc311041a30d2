"""What `ContainerEngine` promises of images that are somebody else's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from application.errors import BuildFailed
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import Subject

OLDEST_WITH_SOURCE_POLICIES = 24


def test_a_tag_that_another_installation_has_taken_is_gone_to_us_and_stays_theirs(
    subject: Subject, tmp_path: Path
) -> None:
    """The ids of both begin at 1: they name their images alike."""
    order = subject.build_order(make_busybox_context(tmp_path / "ours", "exit 46"))
    subject.engine.build(order)
    other = subject.other_installation()
    make_busybox_context(tmp_path / "theirs", "exit 47")
    theirs = other.build(replace(order, context=tmp_path / "theirs"))

    subject.engine.remove_tag(order.tags[0])
    kept = {image.docker_image_id: tuple(image.tags) for image in other.list_images()}
    other.remove_tag(order.tags[0])

    assert kept == {theirs: order.tags}
    assert other.list_images() == []


@pytest.mark.parametrize("steps", ["FROM {theirs}", "FROM scratch\nCOPY --from={theirs} / /"])
def test_a_users_image_is_no_source_of_a_build(
    subject: Subject, tmp_path: Path, steps: str
) -> None:
    if isinstance(subject.engine, DockerContainerEngine):
        version = subject.engine.version()
        if int(version.partition(".")[0]) < OLDEST_WITH_SOURCE_POLICIES:
            pytest.skip(f"the BuildKit of Engine {version} ignores source policies")
    theirs = f"nvidia-app-uvictim-{tmp_path.name.lower().replace('_', '-')}-i7:latest"
    order = subject.build_order(make_busybox_context(tmp_path / "theirs", "exit 48"))
    subject.engine.build(replace(order, tags=(theirs,)))
    (tmp_path / "Dockerfile").write_text(steps.format(theirs=theirs) + "\n")

    with pytest.raises(BuildFailed, match="denied by policy"):
        subject.engine.build(subject.build_order(tmp_path))
