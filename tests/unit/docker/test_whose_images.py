"""What bears a tag of ours may be another installation's by now: it is never taken for ours."""

import json
from pathlib import Path

import pytest

from application.errors import EngineTransient
from tests.unit.docker.shims import Shim, build_order

DIGEST = "sha256:" + "a" * 64
OURS = {
    "orchestrator.installation_id": "test",
    "orchestrator.image_id": "1",
    "orchestrator.build_id": "1",
}

# It builds anything, answers what a test has put there, and notes what it removes.
_CLIENT = """
case "$*" in
    *"buildx build"*) echo built ;;
    *"image inspect"*) cat {folder}/images.json ;;
    *"image rm"*) echo "$*" >>{folder}/removed ;;
    *) exit 1 ;;
esac
"""


def stands_there(folder: Path, labels: dict[str, str] | None) -> str:
    """Put an image with these labels under every name; returns the client's script."""
    image = {"Id": DIGEST, "RepoTags": ["web:b1"], "Config": {"Labels": labels}}
    (folder / "images.json").write_text(json.dumps([image]))
    return _CLIENT.format(folder=folder)


def test_the_image_of_a_build_is_known_by_its_labels(shim: Shim, tmp_path: Path) -> None:
    engine = shim(stands_there(tmp_path, OURS))

    assert engine.build(build_order(tmp_path, 30.0)) == DIGEST


@pytest.mark.parametrize(
    "labels",
    [
        None,
        OURS | {"orchestrator.installation_id": "another"},
        OURS | {"orchestrator.image_id": "2"},
        OURS | {"orchestrator.build_id": "2"},
    ],
)
def test_whatever_else_took_the_tag_of_a_build_is_not_its_result(
    shim: Shim, tmp_path: Path, labels: dict[str, str] | None
) -> None:
    engine = shim(stands_there(tmp_path, labels))

    with pytest.raises(EngineTransient, match="is not what was built"):
        engine.build(build_order(tmp_path, 30.0))


@pytest.mark.parametrize(
    ("labels", "removed"),
    [
        (OURS, True),
        (OURS | {"orchestrator.installation_id": "another"}, False),
        (None, False),
    ],
)
def test_a_tag_goes_from_our_images_alone(
    shim: Shim, tmp_path: Path, labels: dict[str, str] | None, *, removed: bool
) -> None:
    engine = shim(stands_there(tmp_path, labels))

    engine.remove_tag("web:b1")

    assert (tmp_path / "removed").exists() is removed
