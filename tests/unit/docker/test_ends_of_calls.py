"""However a call ends, by its limit, an interrupt or by itself, no process of it is left."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from adapters.docker.wrapped_process import KILL_AFTER_SECONDS
from application.errors import (
    BuildInterrupted,
    BuildTimedOut,
    EngineError,
    EngineInterrupted,
    OutcomeUnknown,
)
from entrypoints.worker.dispatcher import DRAIN_SECONDS
from tests.contracts.subjects import wait_until
from tests.unit.docker.shims import DOCKER_ID, LIMIT, Mark, Shim, build_order


@pytest.fixture
def limit() -> float:
    return LIMIT


def test_a_client_that_hangs_is_asked_to_end_at_its_limit(shim: Shim) -> None:
    engine, mark = shim('exec sleep "$MARK"'), Mark()

    with mark, pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.5 seconds"):
        engine.start(DOCKER_ID)

    assert not mark.processes()


def test_a_client_that_ignores_that_is_killed(shim: Shim) -> None:
    engine, mark = shim('trap "" TERM; sleep "$MARK"; sleep "$MARK"'), Mark()
    began = time.monotonic()

    with mark, pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.5 seconds"):
        engine.inspect("web")

    assert LIMIT + KILL_AFTER_SECONDS <= time.monotonic() - began < LIMIT + KILL_AFTER_SECONDS + 5
    assert not mark.processes()


def test_a_plugin_that_outlives_its_client_is_killed_too(shim: Shim) -> None:
    engine = shim("""(trap "" TERM; sleep "$MARK"; sleep "$MARK") & trap "exit 1" TERM; wait""")
    mark = Mark()

    with mark, pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.5 seconds"):
        engine.start(DOCKER_ID)

    wait_until(lambda: not mark.processes())


def test_a_build_that_reaches_its_limit_has_failed(shim: Shim, tmp_path: Path) -> None:
    engine, mark = shim('echo "#1 begun" >&2; exec sleep "$MARK"'), Mark()
    order = build_order(tmp_path, seconds=20.0)

    def used() -> float:
        """All of its time as soon as it has written its line, however long that takes."""
        begun = order.log.exists() and order.log.read_text() != ""
        return order.timeout_seconds if begun else order.timeout_seconds - 0.1

    engine._start_stopwatch = lambda: used

    with mark, pytest.raises(BuildTimedOut, match=r"took longer than 20 seconds"):
        engine.build(order)

    assert order.log.read_text() == "#1 begun\n"
    assert not mark.processes()


def test_a_build_that_ignores_its_limit_has_failed_too(shim: Shim, tmp_path: Path) -> None:
    engine, mark = shim('trap "" TERM; sleep "$MARK"; sleep "$MARK"'), Mark()

    with mark, pytest.raises(BuildTimedOut, match=r"took longer than 0\.5 seconds"):
        engine.build(build_order(tmp_path, LIMIT))

    assert not mark.processes()


def test_an_interrupted_build_leaves_no_process(shim: Shim, tmp_path: Path) -> None:
    engine, mark = shim('echo "#1 begun" >&2; exec sleep "$MARK"'), Mark()
    order = build_order(tmp_path, seconds=60.0)

    def interrupt() -> None:
        wait_until(lambda: order.log.exists() and order.log.read_text() != "")
        engine.interrupt_build(1)

    with mark:
        other = threading.Thread(target=interrupt)
        other.start()
        with pytest.raises(BuildInterrupted):
            engine.build(order)
        other.join()

    assert not mark.processes()


@pytest.mark.parametrize(
    "client",
    [
        pytest.param('trap "trap - TERM" TERM; while :; do sleep "$MARK" & wait; done', id="once"),
        pytest.param('trap "" TERM; while :; do sleep "$MARK"; done', id="always"),
    ],
)
def test_a_client_that_loses_the_signal_still_ends_before_its_worker_must(
    shim: Shim, tmp_path: Path, client: str
) -> None:
    engine, mark = shim(f'echo "#1 begun" >&2; {client}'), Mark()
    order = build_order(tmp_path, seconds=60.0)
    interrupted_at: list[float] = []

    def interrupt() -> None:
        wait_until(lambda: order.log.exists() and order.log.read_text() != "")
        interrupted_at.append(time.monotonic())
        engine.interrupt_all()

    with mark:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(BuildInterrupted):
            engine.build(order)
        thread.join()

    # It is killed well before; the rest is a busy machine's.
    assert time.monotonic() - interrupted_at[0] < DRAIN_SECONDS + 2
    wait_until(lambda: not mark.processes())


def test_an_interrupt_is_never_too_early(shim: Shim, tmp_path: Path) -> None:
    """The interrupt races the process that has not written its pid yet, again and again."""
    engine, mark = shim('exec sleep "$MARK"'), Mark()

    with mark:
        for _ in range(10):
            over = threading.Event()

            def interrupt(over: threading.Event = over) -> None:
                while not over.wait(0.001):
                    engine.interrupt_build(1)

            other = threading.Thread(target=interrupt)
            other.start()
            with pytest.raises(BuildInterrupted):
                engine.build(build_order(tmp_path, seconds=20.0))
            over.set()
            other.join()

    assert not mark.processes()


def test_a_worker_that_ends_ends_every_call_and_begins_none(shim: Shim, tmp_path: Path) -> None:
    engine, mark = shim('exec sleep "$MARK"'), Mark()
    errors: list[EngineError] = []

    def build() -> None:
        try:
            engine.build(build_order(tmp_path, seconds=60.0))
        except EngineError as error:
            errors.append(error)

    with mark:
        thread = threading.Thread(target=build)
        thread.start()
        wait_until(lambda: bool(mark.processes()))
        engine.interrupt_all()
        thread.join()

    assert [type(error) for error in errors] == [BuildInterrupted]
    assert not mark.processes()
    shutil.rmtree(tmp_path / "scratch")
    with pytest.raises(EngineInterrupted):
        engine.inspect("web")
    with pytest.raises(BuildInterrupted):
        engine.build(build_order(tmp_path))
    assert not (tmp_path / "scratch").exists()
