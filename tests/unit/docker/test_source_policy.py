"""Every build is told that users' images are no sources, whoever's they are."""

import json
from pathlib import Path

import pytest

from application.errors import BuildFailed
from tests.unit.docker.shims import Shim, build_order

# It notes which policy it is given, and fails as BuildKit does whose policy is not obeyed.
_CLIENT = """
cp "$EXPERIMENTAL_BUILDKIT_SOURCE_POLICY" {folder}/policy.json
echo "ERROR: failed to solve: nvidia-app-uada-i7:latest: failed to resolve source metadata for\
 docker.io/library/nvidia-app-uada-i7:latest: could not resolve image due to policy: source\
 \\"docker-image://docker.io/library/nvidia-app-uada-i7:latest\\" denied by policy: source denied\
 by policy" >&2
exit 1
"""


def test_a_build_is_given_the_policy_and_what_it_denies_fails_for_good(
    shim: Shim, tmp_path: Path
) -> None:
    engine = shim(_CLIENT.format(folder=tmp_path))

    with pytest.raises(BuildFailed, match="denied by policy"):
        engine.build(build_order(tmp_path, 30.0))

    (rule,) = json.loads((tmp_path / "policy.json").read_text())["rules"]
    assert rule == {
        "action": "DENY",
        "selector": {"identifier": "docker-image://docker.io/library/nvidia-app-u*"},
    }
