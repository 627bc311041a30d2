"""The status machine of a container: closed enums and the one table of legal changes."""

from __future__ import annotations

from enum import StrEnum

from domain.transitions import Table


class Desired(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class ContainerStatus(StrEnum):
    CREATING = "creating"
    RUNNING = "running"
    EXITED = "exited"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


_S = ContainerStatus

TRANSITIONS: Table[ContainerStatus] = {
    _S.CREATING: frozenset({_S.RUNNING, _S.FAILED, _S.DELETING}),
    _S.RUNNING: frozenset({_S.EXITED, _S.RUNNING, _S.STOPPING, _S.DELETING, _S.DELETED}),
    _S.EXITED: frozenset({_S.STOPPED, _S.STARTING, _S.RUNNING, _S.DELETING, _S.DELETED}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.DELETING, _S.DELETED}),
    _S.STOPPED: frozenset({_S.STARTING, _S.RUNNING, _S.DELETING, _S.DELETED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.STOPPED, _S.EXITED, _S.DELETING, _S.DELETED}),
    _S.FAILED: frozenset({_S.DELETING}),
    _S.DELETING: frozenset({_S.DELETED}),
    _S.DELETED: frozenset(),
}
