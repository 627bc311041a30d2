"""The shim does what it says, and what it does is read by the adapter as what it is."""

import time
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from application.errors import OutcomeUnknown
from tests.fault.service.docker_shim import DockerShim

DOCKER_ID = "3052b3ed" * 8

_CLIENT = """#!/bin/sh
echo "$@" >>"{log}"
case "$*" in
    *"info --format"*) echo 5f0c5a2e-1111-2222-3333-444455556666 ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """What reaches the client behind the shim."""
    return tmp_path / "calls"


@pytest.fixture
def shim(tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> DockerShim:
    calls.touch()
    client = tmp_path / "client"
    client.write_text(_CLIENT.format(log=calls))
    client.chmod(0o755)
    shim = DockerShim(tmp_path / "shim", str(client))
    monkeypatch.setenv("PATH", shim.path)
    return shim


@pytest.fixture
def engine(shim: DockerShim, tmp_path: Path) -> DockerContainerEngine:
    return DockerContainerEngine(
        docker_host="unix:///nowhere.sock", installation_id="test", scratch=tmp_path / "scratch"
    )


def test_a_lost_reply_is_of_a_call_that_was_carried_out(
    shim: DockerShim, engine: DockerContainerEngine, calls: Path
) -> None:
    shim.plan("container stop", "lose")

    with pytest.raises(OutcomeUnknown):
        engine.stop(DOCKER_ID, 1)
    engine.stop(DOCKER_ID, 1)

    assert calls.read_text().count("container stop") == 2
    assert shim.left() == []


def test_an_internal_error_of_the_daemon_is_looked_into(
    shim: DockerShim, engine: DockerContainerEngine, calls: Path
) -> None:
    shim.plan("container start", "500")

    with pytest.raises(OutcomeUnknown, match="went wrong"):
        engine.start(DOCKER_ID)

    assert calls.read_text() == ""


@pytest.mark.parametrize("command", ["container inspect", "info"])
def test_garbage_is_no_answer(
    shim: DockerShim, engine: DockerContainerEngine, command: str
) -> None:
    shim.plan(command, "garbage")

    with pytest.raises(OutcomeUnknown):
        engine.inspect(DOCKER_ID) if command == "container inspect" else engine.engine_id()


def test_a_delayed_call_is_made_late(
    shim: DockerShim, engine: DockerContainerEngine, calls: Path
) -> None:
    shim.plan("container rm", "delay 0.3")
    began = time.monotonic()

    engine.remove(DOCKER_ID)

    assert time.monotonic() - began >= 0.3
    assert "container rm" in calls.read_text()


def test_a_plan_is_for_one_command(shim: DockerShim, engine: DockerContainerEngine) -> None:
    shim.plan("container create", "lose")

    engine.stop(DOCKER_ID, 1)

    assert len(shim.left()) == 1
