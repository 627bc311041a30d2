"""What a newer version wrote, and this one cannot read, keeps nobody else waiting."""

import pytest

from application.errors import UnreadableRow
from domain.container_status import Desired
from tests.integration.worker.worker import RAN, Worker

POISON = "UPDATE containers SET wish_cause = 'a-newer-one' WHERE id = {id}"
CURE = "UPDATE containers SET wish_cause = 'api' WHERE id = {id}"


@pytest.fixture
def two_containers(worker: Worker) -> tuple[int, int]:
    first, second = worker.installation.create(worker.ready_image(), 2)
    worker.work()
    return first, second


def test_the_others_go_on_and_it_is_carried_out_by_who_can_read_it(
    worker: Worker, two_containers: tuple[int, int]
) -> None:
    unreadable, readable = two_containers
    for container_id in two_containers:
        worker.installation.wish(container_id, Desired.STOPPED)
    worker.installation.execute(POISON.format(id=unreadable))

    # The one claim that there is.
    worker.carry_out(worker.claim())

    (setback,) = worker.setbacks
    assert isinstance(setback, UnreadableRow)
    assert setback.row_id == unreadable
    assert (worker.status(unreadable), worker.status(readable)) == ("running", "stopped")

    worker.installation.execute(CURE.format(id=unreadable))
    worker.come_due()
    worker.work()

    assert worker.told(unreadable) == [*RAN, "stopped"]


def test_one_that_is_to_be_looked_at_keeps_its_schedule(
    worker: Worker, two_containers: tuple[int, int]
) -> None:
    unreadable, _ = two_containers
    worker.installation.execute(POISON.format(id=unreadable))
    worker.census.nominate([worker.installation.row("containers", unreadable)["uid"]])

    assert worker.work() == 0

    row = worker.installation.row("containers", unreadable)
    assert (row["lease_until"], row["next_attempt_at"]) == (None, None)
