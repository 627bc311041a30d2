"""compose.yaml as docker compose understands it; its images cannot be pulled here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from entrypoints.settings import load_settings
from relay.settings import read_settings
from tests import compose_file
from tests.compose_file import SECRETS, config

OURS = ("migrate", "api", "worker", "relay")


@pytest.fixture(scope="module")
def stack() -> Any:
    """The whole file, resolved with .env.example and two secrets."""
    return compose_file.stack()


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_refused_in_one_line(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}

    done = config(tmp_path, given)

    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert f"{missing} is missing a value: set it in .env as .env.example tells" in done.stderr


def test_images_of_others_are_pinned_and_ours_are_built_from_their_targets(stack: Any) -> None:
    services = stack["services"]
    pinned = {name: each["image"] for name, each in services.items() if name not in OURS}
    targets = {name: each["build"]["target"] for name, each in services.items() if "build" in each}

    assert set(pinned) == {"postgres", "kafka", "engine"}
    for image in pinned.values():
        assert re.search(r":\d+\.\d+(\.\d+)?(-[a-z]+)?$", image), image
    assert targets == {"api": "api", "worker": "worker", "relay": "relay"}


def test_an_image_is_built_once_whoever_runs_it(stack: Any) -> None:
    services = stack["services"]

    assert services["migrate"]["image"] == services["api"]["image"]
    assert services["migrate"]["pull_policy"] == "never"
    assert len({services[name]["image"] for name in ("api", "worker", "relay")}) == 3


@pytest.mark.parametrize("name", OURS)
def test_ours_are_hardened_and_bounded(stack: Any, name: str) -> None:
    service = stack["services"][name]

    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp:size=64m,mode=1777"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
    # The worker's image has one: two would be one too many.
    assert service.get("init", False) is (name != "worker")


def test_every_service_is_bounded_rotates_its_log_and_comes_back(stack: Any) -> None:
    for name, service in stack["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
        assert service["stop_grace_period"]


def test_no_container_of_a_user_can_have_all_of_the_engine_nor_the_engine_the_machine(
    stack: Any,
) -> None:
    engine = stack["services"]["engine"]
    api = load_settings(_text(stack["services"]["api"]["environment"]))
    shares = {name: each.get("cpu_shares", 1024) for name, each in stack["services"].items()}

    assert api.ceiling.memory_bytes < int(engine["deploy"]["resources"]["limits"]["memory"])
    assert [name for name, share in shares.items() if share < 1024] == ["engine"]
    assert engine["tmpfs"] == ["/run:mode=755,exec"]


def test_postgres_keeps_the_capabilities_alone_that_its_beginning_as_root_needs(
    stack: Any,
) -> None:
    postgres = stack["services"]["postgres"]

    assert postgres["cap_drop"] == ["ALL"]
    assert postgres["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]


@pytest.mark.parametrize(
    ("variables", "flags"),
    [
        ({}, ["--icc=false", "--dns=8.8.8.8"]),
        ({"ENGINE_DNS": "192.0.2.53"}, ["--icc=false", "--dns=192.0.2.53"]),
    ],
)
def test_containers_of_users_are_apart_and_have_a_resolver(
    tmp_path: Path, variables: dict[str, str], flags: list[str]
) -> None:
    done = config(tmp_path, SECRETS | variables)

    assert json.loads(done.stdout)["services"]["engine"]["command"] == flags


def test_the_engine_shares_a_network_with_the_worker_alone(stack: Any) -> None:
    networks = {name: set(each["networks"]) for name, each in stack["services"].items()}

    assert {name for name, of in networks.items() if "engines" in of} == {"engine", "worker"}
    assert networks["engine"] == {"engines"}
    # Listening there is left to the default, which is loopback.
    assert "BIND_HOST" not in stack["services"]["worker"]["environment"]


def test_everything_is_published_on_loopback_and_the_engine_s_ports_are_those_of_the_worker(
    stack: Any,
) -> None:
    published = {
        name: [(each["host_ip"], int(each["published"]), each["target"]) for each in ports]
        for name, service in stack["services"].items()
        if (ports := service.get("ports"))
    }
    settings = load_settings(_text(stack["services"]["worker"]["environment"]))
    first, last = settings.port_range

    assert published == {
        "api": [("127.0.0.1", 3003, 3003)],
        "kafka": [("127.0.0.1", 9094, 9094)],
        "engine": [("127.0.0.1", port, port) for port in range(first, last + 1)],
    }
    assert (settings.engine_address, settings.probe_address) == ("127.0.0.1", "engine")
    assert settings.publish_address == "0.0.0.0"


def test_what_api_worker_and_relay_are_told_is_what_they_read(stack: Any) -> None:
    services = stack["services"]
    api = load_settings(_text(services["api"]["environment"]))
    worker = load_settings(_text(services["worker"]["environment"]))
    relay = read_settings(_text(services["relay"]["environment"]))

    api.check_api()
    assert api.gateway_secret == SECRETS["GATEWAY_SECRET"]
    assert api.bind_host == "0.0.0.0"
    assert (worker.docker_host, worker.docker_tls_verify) == ("tcp://engine:2376", "1")
    assert relay.kafka_create_topics is True
    for name in OURS:
        assert services[name]["environment"]["PGPASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
        assert SECRETS["POSTGRES_PASSWORD"] not in services[name]["environment"]["DATABASE_URL"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]


def test_the_client_s_certificates_are_the_engine_s_and_cannot_be_written_by_the_worker(
    stack: Any,
) -> None:
    def mounts(name: str) -> dict[str, tuple[str, bool]]:
        volumes = stack["services"][name].get("volumes", [])
        return {each["source"]: (each["target"], each.get("read_only", False)) for each in volumes}

    environment = stack["services"]["worker"]["environment"]
    settings = load_settings(_text(environment))
    assert mounts("worker")["engine-client"] == (settings.docker_cert_path, True)
    assert mounts("engine")["engine-client"] == ("/certs/client", False)
    assert "DNS:engine" in stack["services"]["engine"]["environment"]["DOCKER_TLS_SAN"]
    assert mounts("api")["build-contexts"] == mounts("worker")["build-contexts"]
    assert mounts("api")["build-contexts"][0] == settings.build_context_base_dir
    assert set(stack["volumes"]) == {
        source for name in stack["services"] for source in mounts(name)
    }


def test_everybody_waits_for_the_migrations_and_they_for_the_database(stack: Any) -> None:
    waits = {
        name: {on: how["condition"] for on, how in each.get("depends_on", {}).items()}
        for name, each in stack["services"].items()
    }

    assert waits["migrate"] == {"postgres": "service_healthy"}
    for name in ("api", "worker", "relay"):
        assert waits[name]["migrate"] == "service_completed_successfully"
    assert waits["worker"]["engine"] == waits["relay"]["kafka"] == "service_healthy"


def test_what_a_process_waits_for_by_itself_does_not_end_the_start_of_the_rest(stack: Any) -> None:
    needed = {
        (name, on): how["required"]
        for name, each in stack["services"].items()
        for on, how in each.get("depends_on", {}).items()
    }

    assert {pair for pair, required in needed.items() if not required} == {
        ("worker", "engine"),
        ("relay", "kafka"),
    }


def test_how_many_run_is_kept_in_the_variables(tmp_path: Path) -> None:
    numbers = {"APIS": "2", "WORKERS": "3", "RELAYS": "4", "API_PORTS": "3003-3006"}

    services = json.loads(config(tmp_path, SECRETS | numbers).stdout)["services"]

    replicas = [services[name]["deploy"]["replicas"] for name in ("api", "worker", "relay")]
    assert replicas == [2, 3, 4]
    (port,) = services["api"]["ports"]
    assert (port["published"], port["target"]) == ("3003-3006", 3003)


def _text(environment: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in environment.items()}
