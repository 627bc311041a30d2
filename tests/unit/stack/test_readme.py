"""What README and .env.example tell of compose.yaml, where that can be told without running it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from entrypoints.dev.folders import REPOSITORY
from entrypoints.settings import load_settings
from relay.settings import read_settings
from tests.compose_file import SECRETS, config

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
OVERRIDES = [block for block in BLOCKS if block.startswith("# compose.override.yaml\n")]


def _overridden(folder: Path, words: str) -> dict[str, Any]:
    (block,) = [each for each in OVERRIDES if words in each]
    override = folder / "compose.override.yaml"
    override.write_text(block)
    done = config(folder, SECRETS, override)
    assert (done.returncode, done.stderr) == (0, "")
    stack: dict[str, Any] = json.loads(done.stdout)
    return stack


def test_every_override_is_tried_here() -> None:
    assert len(OVERRIDES) == 6


def test_a_setting_reaches_the_process_that_reads_it(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "STARTUP_TIMEOUT_SECONDS")["services"]

    worker = load_settings(_text(services["worker"]["environment"]))
    assert worker.startup_timeout_seconds == 120
    assert worker.docker_host == "tcp://engine:2376"


def test_what_serves_other_machines_is_no_longer_published_on_loopback(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "API_PORTS")["services"]

    addresses = {
        name: {each["host_ip"] for each in services[name]["ports"]} for name in ("api", "engine")
    }
    worker = load_settings(_text(services["worker"]["environment"]))
    first, last = worker.port_range
    assert addresses == {"api": {"192.0.2.10"}, "engine": {"192.0.2.10"}}
    assert [int(each["published"]) for each in services["engine"]["ports"]] == [
        *range(first, last + 1)
    ]
    assert worker.engine_address == "192.0.2.10"


def test_with_postgresql_and_kafka_of_one_s_own_there_are_none_here(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "KAFKA_BOOTSTRAP_SERVERS")["services"]

    assert set(services) == {"migrate", "api", "worker", "relay", "engine"}
    urls = {services[name]["environment"]["DATABASE_URL"] for name in services.keys() - {"engine"}}
    relay = read_settings(_text(services["relay"]["environment"]))
    assert urls == {"postgresql://orchestrator@db.example:5432/orchestrator"}
    assert relay.client_options()["bootstrap.servers"] == "kafka.example:9093"
    assert relay.client_options()["security.protocol"] == "SSL"
    for name in ("migrate", "relay"):
        assert not {"postgres", "kafka"} & services[name].get("depends_on", {}).keys()


def test_prometheus_reaches_workers_and_relays(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "prometheus")["services"]

    for name in ("worker", "relay", "prometheus"):
        assert "backend" in services[name]["networks"]
    assert load_settings(_text(services["worker"]["environment"])).bind_host == "0.0.0.0"
    assert read_settings(_text(services["relay"]["environment"])).bind_host == "0.0.0.0"


def test_with_an_engine_elsewhere_there_is_none_here(tmp_path: Path) -> None:
    services = _overridden(tmp_path, "DOCKER_HOST")["services"]

    worker = services["worker"]
    assert "engine" not in services
    assert worker["environment"]["DOCKER_HOST"] == "tcp://10.0.0.7:2376"
    mounts = {each["target"]: (each["source"], each["type"]) for each in worker["volumes"]}
    assert set(mounts) == {"/var/lib/orchestrator/build-contexts", "/certs/client"}
    assert mounts["/certs/client"] == (str(REPOSITORY / "certificates"), "bind")


def test_the_engine_s_data_can_be_on_a_filesystem_of_its_own(tmp_path: Path) -> None:
    volumes = _overridden(tmp_path, "driver_opts")["volumes"]

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


def _text(environment: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in environment.items()}
