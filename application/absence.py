"""When a container may be called gone.

A failed look is never absence, and neither is the answer of another engine: recording an end that
did not happen would make others forget a container that serves.
"""

from __future__ import annotations

from application.container_outcomes import ContainerOutcomes
from application.errors import EngineTransient
from application.leased_engine import LeasedEngine
from domain.container import Container


def verify_absent(engine: LeasedEngine, container: Container) -> None:
    """Make sure that nothing of the container is left, by its Docker id and by its name.

    Raises:
        EngineTransient: something is, or it is another engine that does not know it.
    """
    if engine.engine_id() != container.spec.engine_id:
        raise EngineTransient("another engine answers")
    references = {container.docker_id, container.name} - {None}
    for reference in sorted(reference for reference in references if reference):
        seen = engine.inspect(reference)
        if seen is not None and seen.uid == container.uid:
            raise EngineTransient("it is still there after its removal")


def record_vanished(
    engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
) -> None:
    """Record that it is gone though nobody here removed it.

    Raises:
        EngineTransient: it is another engine that does not know it.
    """
    if engine.engine_id() != container.spec.engine_id:
        raise EngineTransient("another engine answers")
    outcomes.vanished()
