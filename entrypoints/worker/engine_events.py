"""Follows the engine's events, which nominate at once what a pass would find later."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from adapters.docker.event_stream import DockerEventStream, Sign
from adapters.postgres.census import PostgresCensus
from application.errors import DatabaseUnavailable, EngineError
from entrypoints.worker.engine_monitor import EngineMonitor

_RECONNECT_SECONDS = 1.0

log = structlog.get_logger(__name__)


class EngineEvents:
    """A thread with one stream at a time.

    Args:
        wake: lets this worker look for work at once; the others are signalled by the database.
    """

    def __init__(
        self,
        stream: DockerEventStream,
        census: PostgresCensus,
        monitor: EngineMonitor,
        wake: Callable[[], None],
    ) -> None:
        self._wake = wake
        self._stream = stream
        self._census = census
        self._monitor = monitor
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._stream.close()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except DatabaseUnavailable as exc:
                log.warning("events not followed", error=str(exc))
            except EngineError as exc:
                # The daemon ends its streams first of all: look at it before anything else does.
                log.info("event stream ended", error=type(exc).__name__, detail=str(exc))
                self._monitor.look_again()
            except Exception:
                log.exception("events not followed")
            self._closing.wait(_RECONNECT_SECONDS)

    def _follow(self) -> None:
        engine_id = self._monitor.engine_id
        if engine_id is None:
            return
        # For what happened while nobody followed.
        self._census.request_pass(engine_id)
        self._stream.follow(lambda sign: self._take(engine_id, sign))

    def _take(self, engine_id: str, sign: Sign) -> None:
        if sign.gone:
            # Only a complete list can tell that something is gone.
            self._census.request_pass(engine_id)
        else:
            self._census.nominate([sign.uid])
            self._wake()
