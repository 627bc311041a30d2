"""One run of Docker over a context: attempts, ends, and what a cancellation does when."""

from collections.abc import Callable

import pytest

from domain.build import Build, BuildStatus, LogTail
from domain.errors import IllegalTransition
from tests.unit.domain.samples import NOON, after

LOG = LogTail("Step 1/1", truncated=False)


def queued() -> Build:
    return Build.queue(70, 7, "user-1", "user-1/7/builds/70.log", NOON)


def running() -> Build:
    build = queued()
    build.begin("engine-1", after(1))
    return build


def finished(status: BuildStatus) -> Build:
    build = running()
    if status is BuildStatus.SUCCEEDED:
        build.succeed("sha256:abc", LOG, after(2))
    elif status is BuildStatus.FAILED:
        build.fail("no Dockerfile", LOG, after(2))
    else:
        build.cancel(LOG, after(2))
    return build


FINISHED = [BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELLED]


def test_a_queued_build_has_made_no_attempt() -> None:
    build = queued()

    assert (build.status, build.attempt, build.is_finished) == (BuildStatus.QUEUED, 0, False)
    assert (build.engine_id, build.started_at, build.finished_at) == (None, None, None)


def test_an_attempt_counts_from_when_it_begins() -> None:
    build = running()

    assert (build.status, build.attempt, build.is_finished) == (BuildStatus.RUNNING, 1, False)
    assert (build.engine_id, build.started_at) == ("engine-1", after(1))


def test_a_taken_over_build_counts_another_attempt_and_keeps_when_it_started() -> None:
    build = running()

    build.begin("engine-1", after(30))

    assert (build.status, build.attempt) == (BuildStatus.RUNNING, 2)
    assert build.started_at == after(1)


def test_a_handed_back_attempt_is_not_counted() -> None:
    build = running()

    build.hand_back()
    build.begin("engine-1", after(5))

    assert build.attempt == 1


def test_an_attempt_that_was_broken_off_is_counted_by_itself() -> None:
    build = running()

    build.break_off()
    build.begin("engine-1", after(5))

    assert (build.attempt, build.broken_off) == (1, 1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (BuildStatus.SUCCEEDED, None),
        (BuildStatus.FAILED, "no Dockerfile"),
        (BuildStatus.CANCELLED, "cancelled"),
    ],
)
def test_a_build_ends_with_its_reason_its_log_and_its_time(
    status: BuildStatus, reason: str | None
) -> None:
    build = finished(status)

    assert (build.status, build.status_reason, build.is_finished) == (status, reason, True)
    assert (build.log, build.finished_at) == (LOG, after(2))
    assert build.docker_image_id == ("sha256:abc" if status is BuildStatus.SUCCEEDED else None)


@pytest.mark.parametrize("status", FINISHED)
def test_a_finished_build_begins_and_ends_no_more(status: BuildStatus) -> None:
    build = finished(status)
    acts: list[Callable[[], None]] = [
        lambda: build.begin("engine-2", after(3)),
        lambda: build.succeed("sha256:late", LOG, after(3)),
        lambda: build.fail("late", LOG, after(3)),
        lambda: build.cancel(LOG, after(3)),
    ]

    for act in acts:
        with pytest.raises(IllegalTransition) as refusal:
            act()
        assert (refusal.value.aggregate, refusal.value.current) == ("build", status.value)

    assert (build.status, build.attempt, build.finished_at) == (status, 1, after(2))
    assert build.docker_image_id != "sha256:late"


def test_a_build_that_never_ran_neither_succeeds_nor_fails() -> None:
    build = queued()

    with pytest.raises(IllegalTransition):
        build.succeed("sha256:abc", LOG, after(1))
    with pytest.raises(IllegalTransition):
        build.fail("early", LOG, after(1))

    assert build.status is BuildStatus.QUEUED


def test_cancelling_a_queued_build_ends_it_at_once() -> None:
    build = queued()

    build.request_cancel(after(1))

    assert (build.status, build.finished_at) == (BuildStatus.CANCELLED, after(1))


def test_cancelling_a_running_build_asks_its_worker_to_end_it() -> None:
    build = running()

    build.request_cancel(after(2))

    assert (build.status, build.cancel_requested) == (BuildStatus.RUNNING, True)


@pytest.mark.parametrize("status", FINISHED)
def test_cancelling_a_finished_build_changes_nothing(status: BuildStatus) -> None:
    build = finished(status)

    build.request_cancel(after(3))

    assert (build.status, build.finished_at) == (status, after(2))
    assert not build.cancel_requested


@pytest.mark.parametrize(
    ("length", "kept", "truncated"), [(0, 0, False), (8000, 8000, False), (8001, 8000, True)]
)
def test_the_last_8000_characters_of_a_log_are_kept(
    length: int, kept: int, *, truncated: bool
) -> None:
    log = "".join(chr(0x1F600 + number % 50) for number in range(length))

    tail = LogTail.of(log)

    assert (len(tail.text), tail.truncated) == (kept, truncated)
    assert log.endswith(tail.text)
