"""Create and start a container that never ran, past what is in its way.

    its port is taken       another port is reserved
    its name is taken       what an earlier attempt left is adopted, or removed if it was made from
                            another spec; beside a stranger it takes another name
    its start had died      removed and created anew

Until its port answers nobody is told of it, so port, name and Docker id may still change.
"""

from __future__ import annotations

from application.container_outcomes import ContainerOutcomes
from application.engine_calls import ContainerOrder
from application.errors import (
    EngineRefused,
    EngineTransient,
    NameConflict,
    PortConflict,
    StartWedged,
)
from application.leased_engine import LeasedEngine
from domain.container import Container
from domain.errors import ContainerRefuses, NoFreePort

PORTS_TRIED = 5
STARTS_TRIED = 3
NAMES_TRIED = 3


def create_and_start(
    engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
) -> tuple[Container, str]:
    """Create and start it; returns it as it is by then, and its Docker id.

    Raises:
        EngineRefused: nothing helps.
        EngineError: it is to be tried again, by whoever finds what is left of this.
    """
    for _ in range(PORTS_TRIED):
        try:
            return _with_its_port(engine, outcomes, container)
        except PortConflict:
            # The object that could not be bound bears the name of the next one.
            if (left := engine.look_for(outcomes.current())) is not None:
                engine.remove(left.docker_id)
            try:
                container = outcomes.moved_port()
            except NoFreePort as exc:
                raise EngineTransient("no host port is free at the moment") from exc
    raise EngineRefused(f"{PORTS_TRIED} host ports in turn were taken by others")


def _with_its_port(
    engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
) -> tuple[Container, str]:
    for _ in range(STARTS_TRIED):
        container, docker_id = _create(engine, outcomes, container)
        try:
            engine.start(docker_id)
        except StartWedged:
            # Nobody was told of it yet, so another one may take its place.
            engine.remove(docker_id)
        else:
            return container, docker_id
    raise EngineTransient("the engine does not start it")


def _create(
    engine: LeasedEngine, outcomes: ContainerOutcomes, container: Container
) -> tuple[Container, str]:
    """Create the container, or adopt what an earlier attempt of this one left behind."""
    for _ in range(NAMES_TRIED):
        order = ContainerOrder.of(container, port_of(container))
        try:
            return container, engine.create(order)
        except NameConflict:
            seen = engine.look_for(container)
        if seen is None:
            container = _renamed(outcomes)
        elif seen.spec_hash == order.spec_hash:
            return container, seen.docker_id
        else:
            engine.remove(seen.docker_id)
    raise EngineTransient("the container's name stays taken")


def _renamed(outcomes: ContainerOutcomes) -> Container:
    try:
        return outcomes.renamed()
    except ContainerRefuses as exc:
        raise EngineRefused("every name for it is taken by others") from exc


def port_of(container: Container) -> int:
    if container.external_port is None:
        raise EngineRefused("it holds no host port")
    return container.external_port
