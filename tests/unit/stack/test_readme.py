"""What README and .env.example tell of compose.yaml, where that can be told without running it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from entrypoints.dev.folders import REPOSITORY
from tests.compose_file import SECRETS, config

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
OVERRIDES = [block for block in BLOCKS if block.startswith("# compose.override.yaml\n")]


def _overridden(folder: Path, words: str) -> dict[str, object]:
    (block,) = [each for each in OVERRIDES if words in each]
    override = folder / "compose.override.yaml"
    override.write_text(block)
    done = config(folder, SECRETS, override)
    assert (done.returncode, done.stderr) == (0, "")
    stack: dict[str, object] = json.loads(done.stdout)
    return stack


def test_every_override_is_tried_here() -> None:
    assert len(OVERRIDES) == 2


def test_with_an_engine_elsewhere_there_is_none_here(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "DOCKER_HOST")["services"]

    assert isinstance(services, dict)
    worker = services["worker"]
    assert "engine" not in services
    assert worker["environment"]["DOCKER_HOST"] == "tcp://10.0.0.7:2376"
    mounts = {each["target"]: (each["source"], each["type"]) for each in worker["volumes"]}
    assert set(mounts) == {"/var/lib/orchestrator/build-contexts", "/certs/client"}
    assert mounts["/certs/client"] == (str(REPOSITORY / "certificates"), "bind")


def test_the_engine_s_data_can_be_on_a_filesystem_of_its_own(tmp_path: Path) -> None:
    volumes = _overridden(tmp_path, "driver_opts")["volumes"]

    assert isinstance(volumes, dict)
    assert volumes["engine"]["driver_opts"]["device"] == "/srv/orchestrator-engine"


def test_the_gateway_s_secret_goes_neither_to_an_app_nor_onto_a_command_line() -> None:
    (walk,) = [block for block in BLOCKS if 'GATEWAY_SECRET" |' in block]
    function = re.search(r"^(\w+)\(\)", walk, re.MULTILINE)
    to_the_app = [line for line in walk.splitlines() if "localhost:20000" in line]

    assert function is not None
    assert function[1] != "curl"
    assert [line.split()[0] for line in to_the_app] == ["curl"]
    for line in README.splitlines():
        assert not re.search(r"curl[^|]*\$\{?GATEWAY_SECRET", line), line


@pytest.mark.parametrize(
    ("name", "value"),
    re.findall(r"^#(\w+)=(.*)$", (REPOSITORY / ".env.example").read_text(), re.MULTILINE),
)
def test_a_default_that_is_told_is_the_one_that_holds(name: str, value: str) -> None:
    compose = (REPOSITORY / "compose.yaml").read_text()

    held = re.findall(rf"\$\{{{name}:-([^}}]*)\}}", compose)

    assert set(held) == {value}
