"""Create and start a container, and judge whether it came up.

    create (adopt what an earlier attempt left) -> start -> its port answers: running
                                                          it ends or never answers: failed

A new container that does not come up is removed and is final; one that ran before keeps its port
and slot and shows as exited. Nothing is told before the port answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from application.absence import record_vanished, verify_absent
from application.container_outcomes import ContainerOutcomes
from application.errors import (
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    PortConflict,
    StartWedged,
)
from application.leased_engine import LeasedEngine
from application.new_container import create_and_start, port_of
from application.observe_container import fetch_last_words, verified_end
from domain.container import Container
from domain.container_status import ContainerStatus
from domain.end_of_run import unwished_cause
from domain.events import Cause
from domain.observation import Observation

_WEDGED = (
    "the engine was killed while it started the container: it cannot start it until the engine has"
    " been restarted in order; a new container is not affected"
)


class Verdict(Enum):
    """What the prober learned of a port."""

    READY = "ready"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Probe:
    """A started container whose port is to answer.

    Attributes:
        port: the host port to connect to.
    """

    container: Container
    docker_id: str
    port: int


class BringUpContainer:
    """The steps from creating or starting to running.

    Args:
        stop_grace_seconds: how long an app that never answered may take to end.
        startup_timeout_seconds: how long a port may take to answer, for the text of the refusal.
    """

    def __init__(self, *, stop_grace_seconds: float, startup_timeout_seconds: float) -> None:
        self._grace = stop_grace_seconds
        self._startup_timeout = startup_timeout_seconds

    def start(
        self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
    ) -> Probe | None:
        """Make the container run; None when that ended already, in failure or absence."""
        try:
            if container.status is ContainerStatus.CREATING:
                return _watched(*create_and_start(engine, outcomes, container))
            return self._start_again(engine, outcomes, container)
        except EngineRefused as exc:
            self.give_up(engine, outcomes, str(exc))
            return None

    def conclude(
        self,
        engine: LeasedEngine,
        outcomes: ContainerOutcomes,
        probe: Probe,
        verdict: Verdict,
    ) -> Probe | None:
        """Judge a verdict after a fresh look; returns the probe if it is to go on.

        Raises:
            EngineUnreachable: it ended with the engine, and has to be started again.
            EngineTransient: it ran without its port and was stopped, to be started again.
        """
        container = probe.container
        seen = verified_end(lambda: engine.inspect(probe.docker_id, dated=True))
        if seen is not None and _runs_unpublished(seen, verdict):
            engine.stop(seen.docker_id, self._grace)
            raise EngineTransient("the engine was killed while it started the container")
        port = container.spec.internal_port
        if seen is not None and seen.running:
            if verdict is Verdict.READY:
                outcomes.running(seen)
                return None
            if verdict is Verdict.REFUSED:
                return probe
            reason = f"did not listen on port {port} within {self._startup_timeout:g} seconds"
        elif seen is not None and unwished_cause(seen) is Cause.ENGINE_RESTART:
            # That says nothing of the app.
            raise EngineUnreachable(f"the engine restarted before port {port} answered")
        elif seen is not None and seen.oom_killed:
            reason = (
                f"ran out of memory ({container.spec.memory_limit}) before port {port} answered"
            )
        elif seen is not None:
            reason = f"exited with code {seen.exit_code} before port {port} answered"
        else:
            reason = "was removed from the engine while it started"
        self.give_up(engine, outcomes, reason)
        return None

    def give_up(self, engine: LeasedEngine, outcomes: ContainerOutcomes, reason: str) -> None:
        """Record that it did not come up, once nothing of it runs any more."""
        container = outcomes.current()
        seen = engine.look_for(container)
        logs = "" if seen is None else engine.last_words(seen.docker_id)
        if seen is not None and seen.running:
            engine.stop(seen.docker_id, self._grace)
            seen = engine.inspect(seen.docker_id)
        if container.status is ContainerStatus.CREATING:
            if seen is not None:
                engine.remove(seen.docker_id)
            verify_absent(engine, container)
            outcomes.failed(reason, logs, seen)
        elif seen is None:
            record_vanished(engine, outcomes, container)
        elif seen.running:
            raise EngineTransient("it runs on after a stop")
        else:
            outcomes.failed_start(reason, logs, seen)

    def _start_again(
        self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
    ) -> Probe | None:
        seen = engine.look_for(container)
        if seen is None:
            record_vanished(engine, outcomes, container)
            return None
        if container.crash_count and container.lacks_last_words_of(seen):
            # Whoever recorded the end died over it, and the next run's words follow these.
            fetch_last_words(engine, outcomes, seen)
        try:
            engine.start(seen.docker_id)
        except PortConflict as exc:
            # The port stays over stop and start: consumers know it. Only its holder can leave.
            raise EngineRefused(
                f"host port {container.external_port} is taken by another process"
            ) from exc
        except StartWedged as exc:
            # Its Docker id is what consumers know it by: no other one may take its place.
            raise EngineRefused(_WEDGED) from exc
        return _watched(container, seen.docker_id)


def _runs_unpublished(seen: Observation, verdict: Verdict) -> bool:
    """Whether it was begun by a start that died with the engine.

    containerd may carry that out when the next engine is there, which then tells of a container
    that runs, with the StartedAt of its last run or none, and publishes no port of it.
    """
    if not seen.running or seen.started_at is None:
        return seen.running
    booted = seen.engine_started_at
    return verdict is not Verdict.READY and booted is not None and seen.started_at < booted


def _watched(container: Container, docker_id: str) -> Probe:
    return Probe(container, docker_id, port_of(container))
