"""Makes the sweeps of what crashes left behind, one worker at a time, on a thread of its own."""

from __future__ import annotations

import threading

import structlog
from prometheus_client import Counter

from application.errors import (
    DatabaseUnavailable,
    EngineError,
    SweepDoubted,
    VolumeUntrusted,
)
from application.leftovers import Kind
from application.sweep_leftovers import SweepLeftovers
from application.sweep_ports import SweepRegister
from application.sweep_report import Leftover
from entrypoints.worker.engine_monitor import EngineMonitor

# How late a sweep may be; nothing waits for one.
_POLL_SECONDS = 5.0

SWEPT = Counter("worker_swept_total", "Leftovers that a sweep removed", ["kind"])
SWEPT_BYTES = Counter("worker_swept_bytes_total", "Bytes of the files that sweeps removed")
SWEEPS_GIVEN_UP = Counter("worker_sweeps_given_up_total", "Sweeps that did not come to their end")
SWEEPS_DOUBTED = Counter(
    "worker_sweeps_doubted_total",
    "Sweeps that removed nothing because what they found is not what is recorded",
)

log = structlog.get_logger(__name__)


class Sweeps:
    """A thread that takes its turn whenever a sweep is due.

    Args:
        interval_seconds: from one sweep to the next, SWEEP_INTERVAL_SECONDS.
    """

    def __init__(
        self,
        sweeps: SweepLeftovers,
        register: SweepRegister,
        monitor: EngineMonitor,
        *,
        interval_seconds: float,
    ) -> None:
        self._sweeps = sweeps
        self._register = register
        self._monitor = monitor
        self._interval_seconds = interval_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeps", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Let the thread end; what it is just removing it may leave to the next sweep."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._take_turn()
            except (SweepDoubted, VolumeUntrusted) as exc:
                SWEEPS_GIVEN_UP.inc()
                SWEEPS_DOUBTED.inc()
                # A traceback tells an operator nothing.
                log.error("sweep doubted", error=type(exc).__name__, detail=str(exc))  # noqa: TRY400
            except (DatabaseUnavailable, EngineError, OSError) as exc:
                SWEEPS_GIVEN_UP.inc()
                log.warning("sweep given up", error=type(exc).__name__, detail=str(exc))
            except Exception:
                SWEEPS_GIVEN_UP.inc()
                log.exception("sweep failed")
            self._closing.wait(_POLL_SECONDS)

    def _take_turn(self) -> None:
        engine_id = self._monitor.engine_id
        if engine_id is None or not self._register.take_turn(engine_id, self._interval_seconds):
            return
        report = self._sweeps.run(engine_id, tell=_count)
        for tag in report.set_back:
            log.warning("tag set back", name=tag)
        for kept in report.kept:
            log.info(
                "leftover kept",
                kind=kept.leftover.kind,
                name=kept.leftover.name,
                reason=kept.reason,
            )
        log.info(
            "sweep", removed=len(report.removed), bytes=report.size_bytes, kept=len(report.kept)
        )


def _count(leftover: Leftover) -> None:
    SWEPT.labels(leftover.kind).inc()
    SWEPT_BYTES.inc(leftover.size_bytes or 0)
    log.info(
        "leftover removed",
        kind=leftover.kind,
        name=leftover.name,
        age_seconds=round(leftover.age_seconds),
        bytes=leftover.size_bytes,
    )


# Shown as 0 before the first of its kind.
for _kind in Kind:
    SWEPT.labels(_kind)
