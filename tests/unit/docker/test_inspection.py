"""Answers of the Docker client."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from adapters.docker.inspection import CONTAINER_ID, ENGINE_ID, IMAGE_ID, checked_id, observations
from application.errors import OutcomeUnknown
from domain.observation import Observation

UID = UUID("3f0a6f0e-54d2-4f4e-8b1c-3a8a4bb0a111")
DOCKER_ID = "3052b3ed" * 8
NEVER = "0001-01-01T00:00:00Z"
RUNNING: dict[str, Any] = {
    "Id": DOCKER_ID,
    "Name": "/web",
    "Unknown": {"more": [1]},
    "State": {
        "Status": "running",
        "Running": True,
        "OOMKilled": False,
        "ExitCode": 0,
        "StartedAt": "2026-11-23T21:57:20.914320183Z",
        "FinishedAt": NEVER,
    },
    "Config": {
        "Labels": {
            "orchestrator.uid": str(UID),
            "orchestrator.installation_id": "here",
            "orchestrator.spec_hash": "abc",
        }
    },
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


def test_a_running_container_is_read() -> None:
    seen = _seen(RUNNING)

    assert seen == Observation(
        docker_id=DOCKER_ID,
        name="web",
        uid=UID,
        installation_id="here",
        spec_hash="abc",
        running=True,
        started_at=datetime(2026, 11, 23, 21, 57, 20, 914320, UTC),
        finished_at=None,
        exit_code=None,
        oom_killed=False,
        container_ip="172.17.0.2",
    )


def test_a_container_that_never_ran_has_no_times_and_no_exit_code() -> None:
    seen = _seen(RUNNING, State={"Running": False, "StartedAt": NEVER, "ExitCode": 128})

    assert (seen.started_at, seen.finished_at, seen.exit_code) == (None, None, None)
    assert seen.run_id is None


def test_a_container_that_runs_again_shows_nothing_of_its_last_end() -> None:
    seen = _seen(RUNNING, State={"FinishedAt": "2026-11-23T21:57:19Z", "ExitCode": 3})

    assert (seen.finished_at, seen.exit_code) == (None, None)


def test_an_ended_run_shows_how_and_when() -> None:
    state = {
        "Running": False,
        "OOMKilled": True,
        "ExitCode": 137,
        "FinishedAt": "2026-11-23T22:57:21.5+01:00",
    }

    seen = _seen(RUNNING, State=state)

    assert (seen.exit_code, seen.oom_killed) == (137, True)
    assert seen.finished_at == datetime(2026, 11, 23, 21, 57, 21, 500000, UTC)


def test_two_runs_of_a_container_differ_and_one_run_is_itself() -> None:
    again = _seen(RUNNING, State={"StartedAt": "2026-11-23T21:57:20.914321Z"})

    assert _seen(RUNNING).run_id == _seen(RUNNING).run_id
    assert again.run_id != _seen(RUNNING).run_id


@pytest.mark.parametrize("labels", [None, {}, {"orchestrator.uid": "not a uuid"}])
def test_what_bears_no_label_of_ours_is_not_ours(labels: dict[str, str] | None) -> None:
    seen = _seen(RUNNING, Config={"Labels": labels})

    assert (seen.uid, seen.installation_id, seen.spec_hash) == (None, None, None)


@pytest.mark.parametrize(
    "networks", [None, {}, {"bridge": None}, {"bridge": {}}, {"bridge": {"IPAddress": ""}}]
)
def test_a_container_without_an_address_has_none(networks: object) -> None:
    seen = _seen(RUNNING, NetworkSettings={"Networks": networks})

    assert seen.container_ip is None


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "{}",
        "[{}]",
        "<html>502</html>",
        json.dumps([{**RUNNING, "State": {**RUNNING["State"], "StartedAt": "yesterday"}}]),
        json.dumps(
            [{**RUNNING, "State": {**RUNNING["State"], "StartedAt": "0001-01-01T00:00:00+05:00"}}]
        ),
        json.dumps([RUNNING])[:-20],
    ],
)
def test_what_docker_never_answers_leaves_the_outcome_unknown(answer: str) -> None:
    with pytest.raises(OutcomeUnknown):
        observations(answer)


def test_no_container_is_an_empty_list() -> None:
    assert observations("[]") == []


def test_an_id_is_returned_without_its_line_end() -> None:
    assert checked_id(CONTAINER_ID, f"{DOCKER_ID}\n") == DOCKER_ID
    assert checked_id(IMAGE_ID, f"sha256:{DOCKER_ID}") == f"sha256:{DOCKER_ID}"
    assert checked_id(ENGINE_ID, "6XGA:7V2P:ZZ2B") == "6XGA:7V2P:ZZ2B"


@pytest.mark.parametrize("answer", ["", "WARNING: no swap", f"{DOCKER_ID}\n{DOCKER_ID}"])
def test_what_is_no_id_leaves_the_outcome_unknown(answer: str) -> None:
    with pytest.raises(OutcomeUnknown):
        checked_id(CONTAINER_ID, answer)


def _seen(container: dict[str, Any], **changes: dict[str, Any]) -> Observation:
    changed = deepcopy(container)
    for key, values in changes.items():
        changed[key].update(values)
    [seen] = observations(json.dumps([changed]))
    return seen
