"""Says every second that this worker is there, and misses those who are not."""

from __future__ import annotations

import threading

import structlog

from adapters.postgres.presence import BEAT_SECONDS, PostgresPresence
from application.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)


class Presence:
    """A thread that nothing else is done on: a beat that is late must not be this worker's work.

    Args:
        present: this worker among the others.
    """

    def __init__(self, present: PostgresPresence) -> None:
        self._present = present
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while True:
            try:
                for worker_id, leases in self._present.beat().items():
                    log.warning("a worker is gone", worker_id=str(worker_id), leases_ended=leases)
            except DatabaseUnavailable as exc:
                log.warning("presence not told", error=str(exc))
            except Exception:
                log.exception("presence not told")
            if self._closing.wait(BEAT_SECONDS):
                break
        self._present.close()
