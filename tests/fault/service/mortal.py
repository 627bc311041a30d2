"""What a child of the nursery does: an operation, from its request to its outcome.

Api and worker in one process, assembled by the composition root itself, so that what is armed is
what ORCHESTRATOR_FAILPOINTS arms in the real ones. Only the engine is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from application.bring_up_container import Verdict
from application.leases import Work
from entrypoints.composition import Api, Worker
from entrypoints.settings import load_settings
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.service.operations import OPERATIONS, Driven
from tests.fault.service.remote_docker import remote_docker

INSTALLATION_ID = "test"
_CONTAINER_WORKS = (Work.START, Work.STOP, Work.DELETE, Work.OBSERVE)


def carry_out(task: Mapping[str, Any]) -> None:
    """Request an operation and do the work that follows from it, until nothing is due."""
    settings = load_settings(task["settings"])
    docker = remote_docker(*task["docker"])
    api = Api(settings=settings, application_name="mortal")
    worker = Worker(settings=settings, application_name="mortal")
    worker.pool.override(api.pool)
    worker.failpoints.override(api.failpoints)
    worker.docker.override(FakeContainerEngine(docker, INSTALLATION_ID))
    for process in (api, worker):
        process.installation_id.override(INSTALLATION_ID)
    api.pool().open()
    operation = OPERATIONS[task["operation"]]
    operation.request(api, task["subject"])
    _DRIVES[operation.driven](worker, docker)
    api.pool().close()


def _drive_containers(worker: Worker, docker: FakeDocker) -> None:
    reconcile = worker.reconcile()
    while claims := reconcile.claim(docker.engine_id, _CONTAINER_WORKS, 10):
        for claim in claims:
            probe = reconcile.act(claim)
            while probe is not None:
                ready = docker.answers(probe.port)
                verdict = Verdict.READY if ready else Verdict.TIMED_OUT
                probe = reconcile.conclude(claim, probe, verdict)


def _drive_builds(worker: Worker, docker: FakeDocker) -> None:
    builds, engine_id = worker.builds(), docker.engine_id
    while leases := builds.claim(engine_id, 10):
        for lease in leases:
            builds.act(lease, engine_id)


def _drive_removals(worker: Worker, docker: FakeDocker) -> None:
    removals = worker.removals()
    while leases := removals.claim(docker.engine_id, 10):
        for lease in leases:
            removals.act(lease)


def _drive_nothing(worker: Worker, docker: FakeDocker) -> None:
    pass


_DRIVES = {
    Driven.NOTHING: _drive_nothing,
    Driven.BUILDS: _drive_builds,
    Driven.CONTAINERS: _drive_containers,
    Driven.REMOVALS: _drive_removals,
}
