"""Look at a container that somebody nominated, and record what differs from what is recorded.

A list, an event of the engine, or a command only nominates: what is recorded was inspected afresh
under a lease. A step that is under way looks for itself, so nothing is recorded of it here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from application.absence import record_vanished
from application.container_outcomes import ContainerOutcomes
from application.errors import EngineError
from application.leased_engine import LeasedEngine
from domain.container import Container
from domain.container_status import ContainerStatus
from domain.end_of_run import unwished_cause
from domain.events import Cause
from domain.observation import Observation

_AT_REST = frozenset({ContainerStatus.RUNNING, ContainerStatus.STOPPED, ContainerStatus.EXITED})


def observe(engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container) -> None:
    """Look afresh; what is desired rules afterwards."""
    if container.status not in _AT_REST:
        outcomes.looked()
        return

    def look() -> Observation | None:
        return engine.look_for(container, dated=True)

    # What rests already is not told as ended.
    seen = verified_end(look) if container.status is ContainerStatus.RUNNING else look()
    if seen is None:
        record_vanished(engine, outcomes, container)
    elif seen.running:
        _found_running(outcomes, container, seen)
    elif container.status is ContainerStatus.RUNNING:
        outcomes.exited(seen)
        # Nobody is to learn of the end later because of them.
        fetch_last_words(engine, outcomes, seen)
    else:
        outcomes.looked()
        if container.lacks_last_words_of(seen):
            fetch_last_words(engine, outcomes, seen)


def verified_end(look: Callable[[], Observation | None]) -> Observation | None:
    """Look at it; at an end that nobody wished, and that seems to be its own, a second time.

    An engine that ends in order takes nobody in any more before it ends its containers, but answers
    until its own end whoever was connected by then. So it is the second look that tells: it meets
    nobody, or an engine that has begun anew.

    Args:
        look: a dated look, on a connection of its own each time.

    Raises:
        EngineError: one of the looks failed, and what the other one saw proves nothing.
    """
    seen = look()
    if seen is None or seen.running or unwished_cause(seen) is Cause.ENGINE_RESTART:
        return seen
    return look()


def fetch_last_words(engine: LeasedEngine, outcomes: ContainerOutcomes, seen: Observation) -> None:
    """Add what it wrote last to an end that is recorded; the next look does, if this one cannot."""
    with contextlib.suppress(EngineError):
        outcomes.last_words(seen, engine.last_words(seen.docker_id))


def _found_running(outcomes: ContainerOutcomes, container: Container, seen: Observation) -> None:
    known = (container.open_run_id, container.container_ip) == (seen.run_id, seen.container_ip)
    if container.status is ContainerStatus.RUNNING and known:
        outcomes.looked()
    else:
        outcomes.running(seen)
