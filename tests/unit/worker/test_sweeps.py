"""The thread that sweeps goes on, whatever a sweep meets with, and counts it."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest
from prometheus_client import REGISTRY

from application.errors import (
    DatabaseUnavailable,
    EngineTransient,
    SweepDoubted,
    VolumeUntrusted,
)
from application.leftovers import Kind, Recorded
from application.sweep_leftovers import SweepLeftovers
from application.sweep_report import Leftover, SweepReport
from entrypoints.worker import sweeps
from entrypoints.worker.commands.sweep import Sweep
from entrypoints.worker.engine_monitor import EngineMonitor
from entrypoints.worker.sweeps import Sweeps

LEFTOVER = Leftover(Kind.UPLOAD, ".incoming/x", 4000.0, 12)


class Register:
    """Every turn is this worker's."""

    def take_turn(self, engine_id: str, interval_seconds: float) -> bool:
        return True

    def refusal(self, engine_id: str) -> str | None:
        return None

    def folder_locked(self, image_id: int) -> AbstractContextManager[Recorded | None]:
        return nullcontext(Recorded({}, {}))

    def recorded(self, *_: Collection[object]) -> Recorded:
        return Recorded({}, {})


class Troubled:
    """Fails, each time with the next error, and then sweeps something."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.swept = threading.Event()

    def run(self, engine_id: str, *, tell: Callable[[Leftover], None]) -> SweepReport:
        if self._errors:
            raise self._errors.pop(0)
        if not self.swept.is_set():
            tell(LEFTOVER)
            self.swept.set()
        return SweepReport([LEFTOVER], [])


class _Monitor:
    engine_id = "engine-1"


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Troubled]:
    monkeypatch.setattr(sweeps, "_POLL_SECONDS", 0.01)
    troubled = Troubled(
        EngineTransient("half a list"),
        DatabaseUnavailable("lost"),
        FileNotFoundError("no volume"),
        VolumeUntrusted("another's"),
        SweepDoubted("much is unknown"),
        RuntimeError("nobody foresaw this"),
    )
    thread = Sweeps(
        cast(SweepLeftovers, troubled),
        Register(),
        cast(EngineMonitor, _Monitor()),
        interval_seconds=60.0,
    )
    thread.start()
    yield troubled
    thread.close()
    thread._thread.join(10)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_goes_wrong_is_counted_and_the_next_turn_is_taken(troubled: Troubled) -> None:
    assert troubled.swept.wait(10)

    assert counted("worker_sweeps_given_up_total") >= 6
    assert counted("worker_sweeps_doubted_total") >= 2
    assert counted("worker_swept_total", kind="upload") >= 1
    assert counted("worker_swept_bytes_total") >= 12


@pytest.mark.parametrize(
    ("dry_run", "told"),
    [
        (False, "set back kind=tag name=x:latest\nswept things=0 bytes=0 kept=0\n"),
        (True, "would set back kind=tag name=x:latest\nwould sweep things=0 bytes=0 kept=0\n"),
    ],
)
def test_the_command_tells_which_tags_it_set_back(
    capsys: pytest.CaptureFixture[str], told: str, *, dry_run: bool
) -> None:
    Sweep(dry_run)._conclude(SweepReport([], [], ["x:latest"]))

    assert capsys.readouterr().out == told
