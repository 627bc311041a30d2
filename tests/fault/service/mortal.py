"""What a child of the nursery does: an operation, from its request to its outcome.

Api and worker in one process, assembled by the composition root itself, so that what is armed is
what ORCHESTRATOR_FAILPOINTS arms in the real ones. Only the engine is another.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from adapters.failpoints.registry import FailpointRaised
from entrypoints.composition.api import Api
from entrypoints.composition.worker import Worker
from entrypoints.settings import load_settings
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.service.aftermath import MORTAL
from tests.fault.service.drives import drive
from tests.fault.service.remote_docker import remote_docker
from tests.fault.service.upkeep import ALL_OPERATIONS

INSTALLATION_ID = "test"


def carry_out(task: Mapping[str, Any]) -> None:
    """Request an operation and do the work that follows from it, until nothing is due."""
    settings = load_settings(task["settings"])
    docker = remote_docker(*task["docker"])
    api = Api(settings=settings, application_name=MORTAL)
    worker = Worker(settings=settings, application_name=MORTAL)
    worker.pool.override(api.pool)
    worker.failpoints.override(api.failpoints)
    worker.docker.override(FakeContainerEngine(docker, INSTALLATION_ID))
    for process in (api, worker):
        process.installation_id.override(INSTALLATION_ID)
    api.pool().open()
    presence = worker.presence()._present
    presence.beat()
    operation = ALL_OPERATIONS[task["operation"]]

    def request() -> None:
        # What nobody foresaw is told to its one caller.
        try:
            operation.request(api, task["subject"])
        except FailpointRaised:
            traceback.print_exc()

    drive(operation.driven, worker, docker, request)
    presence.close()
    api.pool().close()
