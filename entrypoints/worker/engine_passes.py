"""Makes the passes over the engine, one worker at a time, on a thread of its own."""

from __future__ import annotations

import threading
import time

import structlog
from prometheus_client import Counter, Histogram

from adapters.postgres.census import PostgresCensus
from application.errors import DatabaseUnavailable, EngineError
from application.pass_over_engine import PassOverEngine, PassReport
from entrypoints.worker.engine_monitor import EngineMonitor

# How late a pass is noticed that somebody asked for; they are seldom.
_POLL_SECONDS = 0.5

PASS_SECONDS = Histogram("worker_pass_seconds", "Time of a pass over the engine")
NOMINATED = Counter("worker_pass_nominated_total", "Containers that differed from the record")
MISSING = Counter("worker_pass_missing_total", "Containers that a complete list lacked")
STRANGERS = Counter("worker_pass_removed_total", "Objects that were removed: no container's")

log = structlog.get_logger(__name__)


class EnginePasses:
    """A thread that takes its turn whenever a pass is due.

    Args:
        interval_seconds: from one pass to the next, RECONCILE_INTERVAL_SECONDS.
    """

    def __init__(
        self,
        passes: PassOverEngine,
        census: PostgresCensus,
        monitor: EngineMonitor,
        *,
        interval_seconds: float,
    ) -> None:
        self._passes = passes
        self._census = census
        self._monitor = monitor
        self._interval_seconds = interval_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-passes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._take_turn()
            except (DatabaseUnavailable, EngineError) as exc:
                log.warning("pass given up", error=type(exc).__name__, detail=str(exc))
            except Exception:
                log.exception("pass failed")
            self._closing.wait(_POLL_SECONDS)

    def _take_turn(self) -> None:
        engine_id = self._monitor.engine_id
        if engine_id is None or not self._census.take_turn(engine_id, self._interval_seconds):
            return
        began = time.monotonic()
        report = self._passes.run(engine_id)
        PASS_SECONDS.observe(time.monotonic() - began)
        self._tell(engine_id, report)

    def _tell(self, engine_id: str, report: PassReport) -> None:
        drift = report.drift
        if report.quarantined:
            log.error("engine quarantined", engine_id=engine_id, reason=drift.alarm)
            self._monitor.look_again()
            return
        NOMINATED.inc(len(drift.nominated))
        MISSING.inc(len(drift.missing))
        STRANGERS.inc(len(report.removed))
        if drift.nominated or report.removed:
            log.info(
                "pass",
                found=report.found,
                nominated=len(drift.nominated),
                missing=len(drift.missing),
                removed=report.removed,
            )
