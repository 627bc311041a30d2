"""How a healthy worker brings everything to where an operation begins; returns what it is about."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from domain.container_status import Desired
from tests.contracts.fake_docker import App, ImageLabels
from tests.integration.worker.worker import Worker

USER = "user-1"
# On a Docker in memory: killed, as `docker kill` would end it.
_KILLED_CODE = 137
# Past every grace.
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_NOBODY = UUID(int=0)


def nothing(worker: Worker) -> int:
    return 0


def uploaded(worker: Worker) -> int:
    return worker.installation.upload(USER)


def ready_image(worker: Worker) -> int:
    return worker.ready_image()


def running(worker: Worker) -> int:
    return worker.run_container()


def image_of_a_running_one(worker: Worker) -> int:
    container_id = worker.run_container()
    return int(worker.installation.row("containers", container_id)["image_id"])


def image_of_the_second(worker: Worker) -> int:
    """What runs is in the second slot, and nothing in the first."""
    image_id = worker.ready_image()
    first, _ = worker.installation.create(image_id, 2)
    worker.work()
    worker.installation.wish(first, Desired.DELETED)
    worker.work()
    return image_id


def short_image(worker: Worker) -> int:
    """It is to have an instance, and has none yet."""
    return worker.ready_image(minimum=1)


def kept_instance(worker: Worker) -> int:
    short_image(worker)
    worker.keep()
    (row,) = worker.installation.rows("SELECT id FROM containers")
    return int(row["id"])


def stopped(worker: Worker) -> int:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    return container_id


def crashed(worker: Worker) -> int:
    container_id = worker.run_container()
    row = worker.installation.row("containers", container_id)
    worker.docker.end(row["name"], _KILLED_CODE)
    worker.census.nominate([row["uid"]])
    return container_id


def meddled_with(worker: Worker) -> int:
    """A container was removed behind our back, and something is there that is no container's."""
    container_id = worker.run_container()
    (order,) = worker.docker.orders()
    worker.docker.remove(worker.installation.row("containers", container_id)["docker_id"])
    worker.engine.create(replace(order, uid=_NOBODY, name="stranger", external_port=1))
    return container_id


def littered(worker: Worker) -> int:
    """Files, a tag and an image are there that nobody needs any more, for long."""
    installation = worker.installation
    image_id = worker.ready_image()
    installation.rebuild(image_id)
    worker.work()
    (first, *_) = installation.rows("SELECT id FROM builds ORDER BY id")
    worker.docker.add_image(App(), labels=ImageLabels("test", image_id, first["id"]))
    worker.docker.age(_LONG_AGO)
    for name in (f".incoming/{_NOBODY.hex}", f"{USER}/999999/context", f"{USER}/999999"):
        path = installation.store.path(name)
        path.mkdir(parents=True, exist_ok=True)
        os.utime(path, (_LONG_AGO.timestamp(),) * 2)
    # Before it no engine is swept.
    worker.pass_over()
    return image_id
