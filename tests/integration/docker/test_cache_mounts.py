"""Cache mounts of builds are a user's own, whatever id another's Dockerfile gives."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from application.errors import BuildFailed
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import Subject, real_subject

_MOUNT = "RUN --mount=type=cache,id={id},target=/cache "


@pytest.fixture(scope="module")
def real(engine_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with real_subject(engine_host, tmp_path_factory.mktemp("caches")) as subject:
        yield subject


def build(real: Subject, folder: Path, user_id: str, command: str, cache_id: str) -> str:
    """Build an image of a user one of whose steps runs a command beside a cache mount."""
    dockerfile = make_busybox_context(folder, run=command) / "Dockerfile"
    step = _MOUNT.format(id=cache_id)
    dockerfile.write_text(dockerfile.read_text().replace("RUN ", step))
    return real.engine.build(replace(real.build_order(folder), user_id=user_id))


@pytest.mark.parametrize("guess", ["pip", "../ada/pip", "contract/ada/pip"])
def test_a_cache_mount_is_not_shared_with_another_user(
    real: Subject, tmp_path: Path, guess: str
) -> None:
    build(real, tmp_path / "filled", "ada", "echo mine > /cache/wheel", "pip")

    build(real, tmp_path / "kept", "ada", "grep mine /cache/wheel", "pip")
    with pytest.raises(BuildFailed, match=r"exit code: [12]"):
        build(real, tmp_path / "read", "eve", "grep mine /cache/wheel", guess)
