"""A port that left HOST_PORT_RANGE stays with its container, and goes to nobody else."""

import pytest

from domain.container_status import Desired
from domain.errors import NoFreePort
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.worker import Worker

SECOND_PORT = FIRST_PORT + 1


def change_range(worker: Worker, first: int, last: int) -> None:
    worker.installation.registry.set_port_range(worker.engine_id, first, last)


def ports(worker: Worker, *created: int) -> list[int]:
    return [worker.installation.row("containers", id_)["external_port"] for id_ in created]


def cool_down(worker: Worker) -> None:
    worker.installation.execute("UPDATE host_ports SET free_after = free_after - interval '1 hour'")


def test_a_port_beyond_the_range_is_kept_but_not_handed_out_again(worker: Worker) -> None:
    image_id = worker.ready_image()
    (old,) = worker.installation.create(image_id)
    worker.work()
    change_range(worker, SECOND_PORT, SECOND_PORT)
    kept = ports(worker, old)
    worker.wish(old, Desired.DELETED)
    cool_down(worker)

    (new,) = worker.installation.create(image_id)
    with pytest.raises(NoFreePort):
        worker.installation.create(image_id)

    assert (kept, ports(worker, new)) == ([FIRST_PORT], [SECOND_PORT])


def test_a_port_is_handed_out_when_the_range_comes_back_to_it(worker: Worker) -> None:
    image_id = worker.ready_image()
    (old,) = worker.installation.create(image_id)
    worker.work()
    change_range(worker, SECOND_PORT, SECOND_PORT)
    worker.wish(old, Desired.DELETED)

    change_range(worker, FIRST_PORT, FIRST_PORT)
    cool_down(worker)
    (new,) = worker.installation.create(image_id)

    assert ports(worker, new) == [FIRST_PORT]


def test_a_held_port_that_came_back_to_the_range_is_free_again_after_its_container(
    worker: Worker,
) -> None:
    image_id = worker.ready_image()
    (old,) = worker.installation.create(image_id)
    worker.work()
    change_range(worker, SECOND_PORT, SECOND_PORT)
    change_range(worker, FIRST_PORT, FIRST_PORT)
    worker.wish(old, Desired.DELETED)
    cool_down(worker)

    (new,) = worker.installation.create(image_id)

    assert ports(worker, new) == [FIRST_PORT]
