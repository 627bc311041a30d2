"""What a child of the nursery does: an operation, from its request to its outcome.

Api and worker in one process, assembled by the composition root itself, so that what is armed is
what ORCHESTRATOR_FAILPOINTS arms in the real ones. Only the engine is another.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from adapters.failpoints.registry import FailpointRaised
from application.bring_up_container import Verdict
from application.errors import DatabaseUnavailable, LeaseLost
from application.leases import Lease
from entrypoints.composition.api import Api
from entrypoints.composition.worker import Worker
from entrypoints.settings import load_settings
from entrypoints.worker.dispatcher import CONTAINER_WORKS, UNFORESEEN_RETRY_SECONDS
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.service.operations import OPERATIONS, Driven
from tests.fault.service.remote_docker import remote_docker

INSTALLATION_ID = "test"

Claimed = TypeVar("Claimed")


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
    with _as_the_api():
        operation.request(api, task["subject"])
    _DRIVES[operation.driven](worker, docker)
    api.pool().close()


@contextlib.contextmanager
def _as_the_api() -> Iterator[None]:
    """What nobody foresaw is told to its one caller."""
    try:
        yield
    except FailpointRaised:
        traceback.print_exc()


@contextlib.contextmanager
def _as_the_dispatcher(worker: Worker, lease: Lease) -> Iterator[None]:
    """As `Dispatcher` carries out a job: its end, whatever it is, ends nothing else."""
    try:
        yield
    except (LeaseLost, DatabaseUnavailable):
        traceback.print_exc()
    except Exception:  # noqa: BLE001 - as there
        traceback.print_exc()
        with contextlib.suppress(LeaseLost, DatabaseUnavailable, FailpointRaised):
            worker.leases().hand_back(lease, UNFORESEEN_RETRY_SECONDS)


def _drive_containers(worker: Worker, docker: FakeDocker) -> None:
    reconcile = worker.reconcile()
    for claim in _until_none(lambda: reconcile.claim(docker.engine_id, CONTAINER_WORKS, 10)):
        with _as_the_dispatcher(worker, claim.lease):
            probe = reconcile.act(claim)
            while probe is not None:
                ready = docker.answers(probe.port)
                verdict = Verdict.READY if ready else Verdict.TIMED_OUT
                probe = reconcile.conclude(claim, probe, verdict)


def _drive_builds(worker: Worker, docker: FakeDocker) -> None:
    builds, engine_id = worker.builds(), docker.engine_id
    for lease in _until_none(lambda: builds.claim(engine_id, 10)):
        with _as_the_dispatcher(worker, lease):
            builds.act(lease, engine_id)


def _drive_removals(worker: Worker, docker: FakeDocker) -> None:
    removals = worker.removals()
    for lease in _until_none(lambda: removals.claim(docker.engine_id, 10)):
        with _as_the_dispatcher(worker, lease):
            removals.act(lease)


def _drive_nothing(worker: Worker, docker: FakeDocker) -> None:
    pass


def _until_none(claim: Callable[[], Sequence[Claimed]]) -> Iterator[Claimed]:
    """Claim until nothing is due; after what nobody foresaw again, as the dispatcher does."""
    while True:
        try:
            claimed = claim()
        except FailpointRaised:
            traceback.print_exc()
            continue
        if not claimed:
            return
        yield from claimed


_DRIVES = {
    Driven.NOTHING: _drive_nothing,
    Driven.BUILDS: _drive_builds,
    Driven.CONTAINERS: _drive_containers,
    Driven.REMOVALS: _drive_removals,
}
