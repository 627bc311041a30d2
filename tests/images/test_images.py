"""What is in the images, and what is not."""

from __future__ import annotations

import pytest

from entrypoints.dev.private_engine import Engine
from tests.images.conftest import build
from tests.images.image_container import docker, image_config

_MODULES = {
    "api": {"adapters", "application", "domain", "entrypoints", "migrations"},
    "worker": {"adapters", "application", "domain", "entrypoints", "migrations"},
    "relay": {"relay"},
}
_BUILD_TOOLS = ("pip", "gcc", "cc", "make", "git", "curl", "wget")


def _shell(builder: Engine, image: str, script: str) -> str:
    command = ("--network", "none", "--read-only", "--entrypoint", "sh", image, "-c", script)
    return docker(builder.host, "run", "--rm", *command)


@pytest.mark.parametrize("target", ["api", "relay"])
def test_there_is_no_docker_client_in_what_faces_the_network_or_kafka(
    builder: Engine, images: dict[str, str], target: str
) -> None:
    found = _shell(
        builder,
        images[target],
        "find / -xdev -name 'docker*' -type f -perm /111; command -v docker; :",
    )

    assert found == ""


def test_the_worker_has_client_and_buildx_of_its_own_and_collects_orphans(
    builder: Engine, images: dict[str, str]
) -> None:
    versions = _shell(builder, images["worker"], "docker --version; docker buildx version")

    assert versions.startswith("Docker version 26.")
    assert "buildx 0.13" in versions
    assert image_config(builder.host, images["worker"])["Entrypoint"] == ["tini", "--"]


@pytest.mark.parametrize("target", _MODULES)
def test_an_image_holds_its_part_of_the_project_compiled_and_no_tool_to_build_with(
    builder: Engine, images: dict[str, str], target: str
) -> None:
    tools = " ".join(_BUILD_TOOLS)
    listed = _shell(builder, images[target], "ls /app")
    compiled = _shell(builder, images[target], "find /app -name '*.pyc' | wc -l")
    found = _shell(builder, images[target], f"command -v {tools}; python -m pip 2>&1; :")

    assert set(listed.split()) - {"__pycache__", "healthcheck.py"} == _MODULES[target]
    assert int(compiled) > 10
    assert found.splitlines() == ["/opt/venv/bin/python: No module named pip"]


def test_what_has_no_wheel_for_other_processors_is_compiled_from_its_source(
    builder: Engine, stand_in: str
) -> None:
    build(builder.host, stand_in, "packages", "packages:compiled", COMPILED="streaming-form-data")

    command = "/opt/venv/bin/python -c 'import streaming_form_data._parser as p; print(p.__file__)'"
    compiled = _shell(builder, "packages:compiled", command)
    wheel = "cat /opt/venv/lib/python3*/site-packages/streaming_form_data-*.dist-info/WHEEL"
    told = _shell(builder, "packages:compiled", wheel)
    assert compiled.startswith("/opt/venv/")
    # One that was downloaded names manylinux.
    assert "Tag: cp3" in told
    assert "manylinux" not in told


@pytest.mark.parametrize("target", _MODULES)
def test_nobody_is_root_and_docker_can_tell_how_it_is(
    builder: Engine, images: dict[str, str], target: str
) -> None:
    config = image_config(builder.host, images[target])
    who = _shell(builder, images[target], "id --user; id --group; touch /app/x 2>&1; :")

    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Cmd"][0] == "python"
    assert config["Healthcheck"]["Test"][:3] == ["CMD", "python", "/app/healthcheck.py"]
    assert {"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"} <= set(config["Env"])
    assert who.splitlines()[:2] == ["10001", "10001"]
    assert "Read-only file system" in who or "Permission denied" in who


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("api", "import entrypoints.http.app, adapters.docker.labels, migrations.runner"),
        ("worker", "import entrypoints.worker.dispatcher, entrypoints.composition.worker"),
        ("relay", "import relay.serve"),
    ],
)
def test_everything_that_is_imported_is_there(
    builder: Engine, images: dict[str, str], target: str, code: str
) -> None:
    assert _shell(builder, images[target], f"python -W error::ImportWarning -c '{code}'") == ""
