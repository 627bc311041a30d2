"""Stop a container, or delete it: verified in Docker before anything is recorded."""

from __future__ import annotations

from application.absence import record_vanished, verify_absent
from application.container_outcomes import ContainerOutcomes
from application.errors import EngineTransient
from application.leased_engine import LeasedEngine
from domain.container import Container
from domain.container_status import ContainerStatus


class TakeDownContainer:
    """The steps to stopped and to deleted.

    Args:
        stop_grace_seconds: between SIGTERM and SIGKILL, STOP_GRACE_SECONDS.
    """

    def __init__(self, *, stop_grace_seconds: float) -> None:
        self._grace = stop_grace_seconds

    def stop(self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container) -> None:
        """Stop it and record how its run ended."""
        seen = engine.look_for(container)
        if seen is not None and seen.running:
            engine.stop(seen.docker_id, self._grace)
            seen = engine.inspect(seen.docker_id)
        if seen is None:
            record_vanished(engine, outcomes, container)
        elif seen.running:
            raise EngineTransient("it runs on after a stop")
        else:
            outcomes.stopped(seen)

    def delete(
        self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
    ) -> None:
        """Stop it, tell how its run ended, remove it, and record that it is gone.

        The end of the run is recorded first: once the container is removed, Docker no longer
        knows when and how it ended.
        """
        seen = engine.look_for(container)
        if seen is not None and seen.running:
            engine.stop(seen.docker_id, self._grace)
            seen = engine.inspect(seen.docker_id)
        if seen is not None:
            if seen.running:
                raise EngineTransient("it runs on after a stop")
            if container.open_run_id is not None:
                outcomes.run_ended(seen)
            engine.remove(seen.docker_id)
        verify_absent(engine, container)
        outcomes.deleted()

    def observe(
        self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
    ) -> None:
        """Look afresh and record what differs from what was recorded."""
        seen = engine.look_for(container)
        if container.status in {ContainerStatus.FAILED, ContainerStatus.DELETED}:
            outcomes.unchanged()
        elif seen is None:
            record_vanished(engine, outcomes, container)
        elif seen.running:
            outcomes.running(seen)
        elif container.status is ContainerStatus.RUNNING:
            outcomes.exited(seen)
        else:
            outcomes.unchanged()
