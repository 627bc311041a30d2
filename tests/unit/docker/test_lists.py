"""A list of containers is complete or an error, and what becomes of its members is neither."""

from __future__ import annotations

import json

import pytest

from application.errors import EngineError, OutcomeUnknown
from tests.unit.docker.shims import DOCKER_ID, Shim

GONE = "f" * 64
CONTAINER = {
    "Id": DOCKER_ID,
    "Name": "/web",
    "State": {
        "Running": True,
        "StartedAt": "2026-03-01T12:00:00.123456789Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "ExitCode": 0,
        "OOMKilled": False,
    },
    "Config": {"Labels": None},
    "NetworkSettings": {"Networks": {}},
}
NETWORK = {"Name": "bridge", "Driver": "bridge", "Created": "2026-03-01T11:00:00.5Z"}


def docker(listed: str, inspected: str) -> str:
    """Return a client that answers a list and a look."""
    return f"""\
for argument; do
    case "$argument" in
        ls) {listed}; exit ;;
        inspect) {inspected}; exit ;;
    esac
done
"""


def told(*lines: object) -> str:
    return "\n".join(f"echo '{json.dumps(line)}'" for line in lines)


def test_a_member_that_goes_between_the_list_and_the_look_is_left_out(shim: Shim) -> None:
    engine = shim(
        docker(
            f"echo {DOCKER_ID}; echo {GONE}",
            f"{told([CONTAINER])}; echo 'Error: No such container: {GONE}' >&2; exit 1",
        )
    )

    (seen,) = engine.list_ours()

    assert (seen.docker_id, seen.running) == (DOCKER_ID, True)


def test_a_list_of_nothing_needs_no_look(shim: Shim) -> None:
    assert shim(docker("true", "exit 9")).list_ours() == []


@pytest.mark.parametrize(
    "inspected",
    [
        "echo 'Cannot connect to the Docker daemon at x' >&2; exit 1",
        f"{told([CONTAINER])}; echo 'Error response from daemon: EOF' >&2; exit 1",
        f"{told([CONTAINER])}; echo 'Error: No such container: x' >&2; exit 2",
        f"{told([CONTAINER])}; exit 1",
        f"{told([CONTAINER])}; kill -9 $$",
        "echo garbage",
    ],
)
def test_a_look_that_fails_otherwise_makes_no_list(shim: Shim, inspected: str) -> None:
    engine = shim(docker(f"echo {DOCKER_ID}", inspected))

    with pytest.raises(EngineError):
        engine.list_ours()


@pytest.mark.parametrize(
    "listed", ["echo garbage", "echo 'Error response from daemon' >&2; exit 1"]
)
def test_a_list_that_is_none_is_an_error(shim: Shim, listed: str) -> None:
    with pytest.raises(EngineError):
        shim(docker(listed, told([CONTAINER]))).list_ours()


def test_a_dated_look_reads_the_start_of_the_engine_off_its_default_network(shim: Shim) -> None:
    engine = shim(docker("exit 9", told(CONTAINER, NETWORK)))

    seen = engine.inspect(DOCKER_ID, dated=True)

    assert seen is not None
    assert seen.engine_started_at is not None
    assert seen.engine_started_at.isoformat() == "2026-03-01T11:00:00.500000+00:00"


def test_an_engine_without_a_default_network_says_nothing_of_the_container(shim: Shim) -> None:
    engine = shim(
        f"""\
case "$*" in
    *"container inspect"*) {told([CONTAINER])} ;;
    *) {told(CONTAINER)}; echo 'Error: No such object: bridge' >&2; exit 1 ;;
esac
"""
    )

    seen = engine.inspect(DOCKER_ID, dated=True)

    assert seen is not None
    assert (seen.running, seen.engine_started_at) == (True, None)


def test_something_else_of_the_default_networks_name_is_not_taken_for_it(shim: Shim) -> None:
    other = {"Id": "sha256:0", "RepoTags": ["bridge:latest"], "Created": 5}
    engine = shim(
        f"""\
case "$*" in
    *"container inspect"*) {told([CONTAINER])} ;;
    *) {told(CONTAINER, other)} ;;
esac
"""
    )

    seen = engine.inspect(DOCKER_ID, dated=True)

    assert seen is not None
    assert seen.engine_started_at is None


def test_a_dated_look_that_is_cut_short_leaves_the_outcome_unknown(shim: Shim) -> None:
    engine = shim(docker("exit 9", told(CONTAINER)))

    with pytest.raises(OutcomeUnknown):
        engine.inspect(DOCKER_ID, dated=True)
