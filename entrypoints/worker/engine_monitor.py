"""Watches the engine this worker drives and tells the others of it through the database."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog

from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.engines import PostgresEngineRegistry
from application.errors import DatabaseUnavailable, EngineError

CHECK_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """How others reach what runs on the engine, and which host ports it may use."""

    host: str
    first_port: int
    last_port: int


class EngineMonitor:
    """Knows whether the engine answers, and that it is still the same one.

    Args:
        engine: the engine.
        registry: where the other processes learn of it.
        address: what is registered for it.
    """

    def __init__(
        self,
        engine: DockerContainerEngine,
        registry: PostgresEngineRegistry,
        address: EngineAddress,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._address = address
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-monitor", daemon=True)
        self._known_id: str | None = None
        self._version = ""
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

    def close(self) -> None:
        self._closing.set()
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
            self._closing.wait(CHECK_SECONDS)

    def _check(self) -> None:
        try:
            engine_id = self._engine.engine_id()
            self._version = self._version or self._engine.version()
        except EngineError as exc:
            self._note(usable=False, detail=str(exc))
        else:
            if self._known_id not in {None, engine_id}:
                # Whatever is recorded belongs to the first one: an empty engine must not make
                # everything look deleted.
                self._note(usable=False, detail="another engine answers at DOCKER_HOST")
                return
            self._register(engine_id)
            self._note(usable=True, detail=None)
        if self._known_id is not None:
            self._heartbeat(self._known_id)

    def _register(self, engine_id: str) -> None:
        if self._known_id is None:
            self._heartbeat(engine_id)
            address = self._address
            self._registry.set_port_range(engine_id, address.first_port, address.last_port)
            self._known_id = engine_id

    def _heartbeat(self, engine_id: str) -> None:
        self._registry.heartbeat(
            engine_id,
            self._address.host,
            self._version,
            reachable=self._usable or self._known_id is None,
            detail=self._detail if self._known_id is not None else None,
        )

    def _note(self, *, usable: bool, detail: str | None) -> None:
        if usable != self._usable or detail != self._detail:
            log.info("engine", usable=usable, detail=detail, engine_id=self._known_id)
        self._usable, self._detail = usable, detail
