"""Stop a container, or delete it: verified in Docker before anything is recorded."""

from __future__ import annotations

from application.absence import record_vanished, verify_absent
from application.container_outcomes import ContainerOutcomes
from application.errors import EngineTransient
from application.leased_engine import LeasedEngine
from domain.container import Container
from domain.observation import Observation


class TakeDownContainer:
    """The steps to stopped and to deleted.

    Args:
        stop_grace_seconds: between SIGTERM and SIGKILL, STOP_GRACE_SECONDS.
    """

    def __init__(self, *, stop_grace_seconds: float) -> None:
        self._grace = stop_grace_seconds

    def stop(self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container) -> None:
        """Stop it and record how its run ended."""
        seen, found_ended = self._ended(engine, container)
        if seen is None:
            record_vanished(engine, outcomes, container)
        else:
            outcomes.stopped(seen, found_ended=found_ended)

    def delete(
        self, engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
    ) -> None:
        """Stop it, tell how its run ended, remove it, and record that it is gone.

        The end of the run is recorded first: once the container is removed, Docker no longer
        knows when and how it ended.
        """
        seen, found_ended = self._ended(engine, container)
        if seen is not None:
            if container.open_run_id is not None:
                outcomes.run_ended(seen, found_ended=found_ended)
            engine.remove(seen.docker_id)
        verify_absent(engine, container)
        outcomes.deleted()

    def _ended(self, engine: LeasedEngine, container: Container) -> tuple[Observation | None, bool]:
        """Make sure that it does not run; tell whether it had ended before we came.

        Raises:
            EngineTransient: it runs on.
        """
        seen = engine.look_for(container, dated=True)
        if seen is None:
            return None, False
        if not seen.running:
            return seen, True
        engine.stop(seen.docker_id, self._grace)
        seen = engine.inspect(seen.docker_id)
        if seen is not None and seen.running:
            raise EngineTransient("it runs on after a stop")
        return seen, False
