"""Watches the engine this worker drives and tells the others of it through the database."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge

from adapters.docker.answered_time import AnsweredTime
from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.engines import PostgresEngineRegistry
from application.errors import DatabaseUnavailable, EngineError, EngineInterrupted

CHECK_SECONDS = 5.0
_QUARANTINE = "in quarantine: "
_ANOTHER = "another engine answers at DOCKER_HOST"

QUARANTINED = Gauge("worker_engine_quarantined", "1 while this worker's engine is in quarantine")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """How others reach what runs on the engine, which host ports it may use, where it is.

    Attributes:
        engine: where the engine itself is reached, and by whom: a socket is another one elsewhere.
    """

    host: str
    first_port: int
    last_port: int
    engine: str


class EngineMonitor:
    """Knows whether the engine answers, and that it is still the same one.

    Args:
        engine: the engine.
        registry: where the other processes learn of it.
        address: what is registered for it.
        answered_time: is told of each look.
    """

    def __init__(
        self,
        engine: DockerContainerEngine,
        registry: PostgresEngineRegistry,
        address: EngineAddress,
        answered_time: AnsweredTime,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._address = address
        self._answered_time = answered_time
        self._closing = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-monitor", daemon=True)
        self._known_id: str | None = None
        self._versions: dict[str, str] = {}
        self._usable = False
        self._detail: str | None = "not asked yet"

    @property
    def engine_id(self) -> str | None:
        """The engine's id while it may be used; None while it must be left alone."""
        return self._known_id if self._usable else None

    @property
    def detail(self) -> str | None:
        """Why the engine must be left alone."""
        return self._detail

    def start(self) -> None:
        self._thread.start()

    def look_again(self) -> None:
        """Check the engine at once."""
        self._due.set()

    def close(self) -> None:
        self._closing.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._check()
            except DatabaseUnavailable as exc:
                log.warning("engine not registered", error=str(exc))
            except Exception:
                # Without this thread nobody would learn of anything that happens to the engine.
                log.exception("engine not checked")
                self._note(usable=False, detail="it could not be checked: see the log")
            self._due.wait(CHECK_SECONDS)
            self._due.clear()

    def _check(self) -> None:
        try:
            engine_id = self._engine.engine_id()
            version = self._versions.get(engine_id) or self._engine.version()
        except EngineInterrupted:
            # This worker ends, and says nothing of an engine that answers the others.
            return
        except EngineError as exc:
            self._answered_time.note_look(answered=False)
            self._note(usable=False, detail=str(exc))
            if self._known_id is not None:
                self._heartbeat(self._known_id, out_of_reach=str(exc))
            return
        self._versions[engine_id] = version
        self._answered_time.note_look(answered=self._known_id in {None, engine_id})
        if self._known_id in {None, engine_id}:
            quarantine = self._register(engine_id)
            self._note(usable=quarantine is None, detail=_told(quarantine))
        else:
            quarantine = self._leave_alone(self._known_id, engine_id)
        QUARANTINED.set(quarantine is not None)

    def _register(self, engine_id: str) -> str | None:
        """Tell the others that it is there; return why it is in quarantine, None if it is not."""
        quarantine = self._heartbeat(engine_id)
        if self._known_id is None:
            address = self._address
            self._registry.set_port_range(engine_id, address.first_port, address.last_port)
            self._known_id = engine_id
        return quarantine

    def _leave_alone(self, known_id: str, engine_id: str) -> str | None:
        """Tell the others that another engine is there; return why it is in quarantine, if it is.

        Whatever is recorded belongs to the known one: an empty engine must not make everything look
        deleted.
        """
        if self._usable:
            # At once: the database may be away.
            self._note(usable=False, detail=_ANOTHER)
        self._heartbeat(known_id, out_of_reach=_ANOTHER)
        quarantine = self._heartbeat(engine_id)
        self._note(usable=False, detail=_told(quarantine) or _ANOTHER)
        return quarantine

    def _heartbeat(self, engine_id: str, *, out_of_reach: str | None = None) -> str | None:
        return self._registry.heartbeat(
            engine_id,
            self._address.host,
            self._versions[engine_id],
            reachable=out_of_reach is None,
            detail=out_of_reach,
            address=self._address.engine,
        )

    def _note(self, *, usable: bool, detail: str | None) -> None:
        if usable != self._usable or detail != self._detail:
            # Only an operator ends a quarantine; everything else may pass by itself.
            told = log.error if detail and detail.startswith(_QUARANTINE) else log.info
            told("engine", usable=usable, detail=detail, engine_id=self._known_id)
        self._usable, self._detail = usable, detail


def _told(quarantine: str | None) -> str | None:
    return None if quarantine is None else f"{_QUARANTINE}{quarantine}"
