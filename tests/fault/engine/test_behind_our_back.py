"""Containers end, vanish and start without us: each change is told once, and what is desired rules.

Passes are 20 s apart here, and everything has to be told sooner: the engine's events nominate.
"""

import time
from pathlib import Path

import pytest

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.fault.conftest import Note
from tests.fault.engine.behind import Behind, moment

# Far below the time between two passes.
PROMPTLY_SECONDS = 10.0
RAN = ["created", "started"]

_OOM = """
SELECT body ->> 'cause' AS cause
FROM (SELECT convert_from(payload, 'UTF8')::jsonb AS body FROM events
      WHERE container_id = %s AND type IN ('container.stopped', 'container.failed')) AS ends
WHERE body -> 'oom_killed' = 'true'
"""
_OOM_LOOP = """
SELECT restart_at FROM containers
WHERE id = %s AND status = 'exited' AND crash_count >= 2 AND status_reason LIKE '%%memory%%'
"""


@pytest.mark.parametrize("command", ["kill", "stop"])
def test_an_end_behind_our_back_is_told_with_dockers_time_and_answered_by_the_policy(
    behind: Behind, note: Note, command: str
) -> None:
    container = behind.running()

    began = time.monotonic()
    behind.docker(command, container["container_id"])
    stopped = behind.wait_for_told(container, "stopped")
    took = time.monotonic() - began
    finished = behind.look(container)[1]
    again = behind.wait_for_status(container, "running", runs=1)

    body = stopped["body"]
    assert (body["cause"], body["exit_code"], body["oom_killed"]) == ("crash", 137, False)
    assert moment(body["timestamp"]) == moment(finished)
    assert again["restart_count"] == 1
    assert body["occurred_at_source"] == "engine"
    assert behind.recorded(container) == [*RAN, "stopped", "started"]
    assert again["external_port"] == container["external_port"]
    assert took < PROMPTLY_SECONDS
    note(f"told {took:.2f} s after docker {command}")


def test_a_container_that_is_removed_is_told_as_stopped_and_deleted(
    behind: Behind, note: Note
) -> None:
    container = behind.running()

    began = time.monotonic()
    behind.docker("rm", "--force", container["container_id"])
    behind.wait_for_told(container, "deleted")
    took = time.monotonic() - began

    assert behind.recorded(container) == [*RAN, "stopped", "deleted"]
    assert behind.service.http.get(f"/api/containers/{container['id']}").status_code == 404
    assert took < PROMPTLY_SECONDS
    note(f"told {took:.2f} s after docker rm -f")


def test_a_restart_is_told_as_the_end_of_one_run_and_the_beginning_of_another(
    behind: Behind,
) -> None:
    container = behind.running()

    behind.docker("restart", "--time", "0", container["container_id"])
    behind.wait_for_told(container, "started", since=2)

    row = behind.wait_for_status(container, "running")
    assert behind.recorded(container) == [*RAN, "stopped", "started"]
    assert row["open_run_id"] != behind.told(container, 4)[1]["run_id"]


def test_memory_that_runs_out_is_told_as_such(behind: Behind) -> None:
    (container,) = behind.create(mode="eats")

    behind.docker("exec", container["container_id"], "/bin/touch", "/eat")
    # Its file system is kept over the start, so it eats again and again. Docker itself now and then
    # misses why a run ended, when the end overtakes the news of it. After the first run it may eat
    # all before its port was asked: that is told as a start that failed, for the same reason.
    (ended, *_) = behind.service.wait_for(_OOM, container["id"])
    (row, *_) = behind.service.wait_for(_OOM_LOOP, container["id"])

    assert ended["cause"] == "oom"
    assert row["restart_at"] is not None


def test_a_stopped_container_that_somebody_starts_is_told_and_stopped_again(
    behind: Behind,
) -> None:
    container = behind.running()
    behind.service.http.post(f"/api/containers/{container['id']}/stop?wait=60")

    behind.docker("start", container["container_id"])
    behind.wait_for_told(container, "stopped", since=3)

    behind.wait_for_status(container, "stopped")
    assert behind.recorded(container) == [*RAN, "stopped", "started", "stopped"]


def test_an_app_that_ignores_sigterm_is_killed_after_the_grace(
    behind: Behind, tmp_path: Path
) -> None:
    http = behind.service.http
    # A process 1 without a handler ignores it.
    context = archive(make_busybox_context(tmp_path / "deaf", stop_signal="SIGTERM"))
    image_id = behind.service.upload(context, memory_limit="32m")
    (container,) = http.post(f"/api/containers/{image_id}?wait=60").json()
    assert container["status"] == "running"

    began = time.monotonic()
    answer = http.post(f"/api/containers/{container['id']}/stop?wait=60").json()
    took = time.monotonic() - began

    assert (answer["status"], answer["exit_code"]) == ("stopped", 137)
    grace = float(behind.service.settings["STOP_GRACE_SECONDS"])
    assert grace <= took < grace + 20
    assert http.delete(f"/api/images/{image_id}?force=true&wait=60").status_code == 204


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("exits", "exited with code 3 before port 8080 answered"),
        ("never-listens", "did not listen on port 8080 within 20 seconds"),
    ],
)
def test_an_app_that_never_comes_up_fails_for_good_and_leaves_nothing(
    behind: Behind, mode: str, reason: str
) -> None:
    (container,) = behind.create(mode=mode)

    row = behind.state(container)
    assert (container["status"], container["status_reason"]) == ("failed", reason)
    assert (row["slot"], row["external_port"]) == (None, None)
    assert behind.recorded(container) == ["failed"]
    assert not behind.in_docker(container)


def test_with_the_events_reader_frozen_the_next_pass_repairs_everything(behind: Behind) -> None:
    crashed, removed, ended, started = behind.create(4)
    behind.service.http.post(f"/api/containers/{started['id']}/stop?wait=60")
    with behind.frozen_event_readers():
        behind.docker("kill", crashed["container_id"])
        behind.docker("rm", "--force", removed["container_id"])
        behind.docker("stop", "--time", "0", ended["container_id"])
        behind.docker("start", started["container_id"])
        behind.wait_for_told(removed, "deleted")
        behind.wait_for_status(crashed, "running", runs=1)
        behind.wait_for_status(ended, "running", runs=1)
        behind.wait_for_told(started, "stopped", since=3)
        behind.wait_for_status(started, "stopped")

    # Behind what they read late: once this is told, all of that was looked at.
    behind.docker("rm", "--force", ended["container_id"])
    behind.wait_for_told(ended, "deleted")
    assert behind.recorded(crashed) == [*RAN, "stopped", "started"]
    assert behind.recorded(removed) == [*RAN, "stopped", "deleted"]
    assert behind.recorded(ended) == [*RAN, "stopped", "started", "stopped", "deleted"]
    assert behind.recorded(started) == [*RAN, "stopped", "started", "stopped"]
