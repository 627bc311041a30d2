"""What is recorded of an engine's containers, against a complete list of what is there.

Of a container that is being created, started, stopped or deleted nothing can be expected: whether
it is there, and runs, is just being changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from application.audit.difference import Difference
from application.audit.records import ContainerRecord, State
from domain.container_status import ContainerStatus
from domain.observation import Observation

_S = ContainerStatus
_THERE = frozenset({_S.RUNNING, _S.STOPPING, _S.STOPPED, _S.STARTING, _S.EXITED})
_AT_REST = frozenset({_S.STOPPED, _S.EXITED})


def audit_engine(
    state: State, engine_id: str, found: Collection[Observation]
) -> Iterator[Difference]:
    """Compare containers of one engine.

    Args:
        found: everything with our label on that engine.
    """
    recorded = {each.uid: each for each in state.containers.values()}
    by_uid: dict[UUID, list[Observation]] = defaultdict(list)
    for seen in found:
        container = recorded.get(seen.uid) if seen.uid is not None else None
        if container is None or container.engine_id != engine_id:
            detail = f"{seen.name} bears our label, and uid {seen.uid}, which is not recorded here"
            yield Difference("orphan", "docker", seen.docker_id, detail)
        else:
            by_uid[container.uid].append(seen)
    for container in recorded.values():
        if container.engine_id == engine_id:
            yield from _audit_container(container, by_uid[container.uid])


def _audit_container(
    container: ContainerRecord, theirs: Sequence[Observation]
) -> Iterator[Difference]:
    if not container.is_live:
        for seen in theirs:
            detail = f"it is {container.status}, and {seen.docker_id} is there"
            yield _difference("left-over", container, detail)
        return
    own = [seen for seen in theirs if container.docker_id in {None, seen.docker_id}]
    strangers = [seen for seen in theirs if seen not in own] + own[1:]
    for seen in strangers:
        detail = f"it is {container.docker_id}, and {seen.docker_id} bears its uid too"
        yield _difference("duplicate", container, detail)
    if own:
        yield from _audit_seen(container, own[0])
    elif container.status in _THERE:
        detail = f"it is {container.status}, and {container.docker_id} is not there"
        yield _difference("missing", container, detail)


def _audit_seen(container: ContainerRecord, seen: Observation) -> Iterator[Difference]:
    if container.status is _S.RUNNING:
        yield from _audit_running(container, seen)
    elif container.status in _AT_REST and seen.running:
        detail = f"it is {container.status}, and runs since {seen.started_at}"
        yield _difference("runs", container, detail)
    if container.status in _THERE:
        if seen.name != container.name:
            detail = f"its name is {container.name}, and {seen.name} there"
            yield _difference("name", container, detail)
        if seen.spec_hash != container.spec_hash:
            detail = f"made for port {container.external_port} or from something else than recorded"
            yield _difference("made-otherwise", container, detail)


def _audit_running(container: ContainerRecord, seen: Observation) -> Iterator[Difference]:
    if not seen.running:
        detail = f"it is running, and ended at {seen.finished_at} with code {seen.exit_code}"
        yield _difference("does-not-run", container, detail)
    elif seen.run_id != container.open_run_id:
        detail = f"its run is {container.open_run_id}, and {seen.run_id} there"
        yield _difference("another-run", container, detail)
    elif seen.container_ip != container.container_ip:
        detail = f"its address is {container.container_ip}, and {seen.container_ip} there"
        yield _difference("address", container, detail)


def _difference(kind: str, container: ContainerRecord, detail: str) -> Difference:
    return Difference(kind, "container", str(container.id), detail)
