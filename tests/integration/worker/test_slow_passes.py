"""A pass whose list comes late is not alarmed by what others made or deleted meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from application.pass_over_engine import PassReport
from domain.container_status import Desired
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.worker import RAN, Worker

TIMEOUT = 10
MANY = 6


def pass_during(worker: Worker, act: Callable[[Worker], None]) -> PassReport:
    """Begin a pass, and let another worker act after it has read the record."""
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    listing = worker.engine.hold_next("list_ours")
    with ThreadPoolExecutor(1) as pool:
        passing = pool.submit(worker.passes.run, worker.engine_id)
        assert listing.reached.wait(TIMEOUT)
        try:
            act(other)
        finally:
            listing.let_go.set()
        return passing.result(TIMEOUT)


def test_containers_made_during_a_pass_are_no_strangers(worker: Worker) -> None:
    image_id = worker.ready_image(maximum=MANY)
    made: list[int] = []

    def create(other: Worker) -> None:
        made.extend(worker.installation.create(image_id, MANY))
        other.work()

    report = pass_during(worker, create)

    assert (len(report.drift.strangers), report.drift.alarm) == (MANY, None)
    assert not report.quarantined
    assert [worker.told(container_id) for container_id in made] == [RAN] * MANY


def test_containers_deleted_during_a_pass_are_not_missed(worker: Worker) -> None:
    made = worker.installation.create(worker.ready_image(maximum=MANY), MANY)
    worker.work()

    def delete(other: Worker) -> None:
        for container_id in made:
            worker.installation.wish(container_id, Desired.DELETED)
        other.work()

    report = pass_during(worker, delete)

    assert (len(report.drift.missing), report.drift.alarm) == (MANY, None)
    assert not report.quarantined
    assert [worker.told(id_) for id_ in made] == [[*RAN, "stopped", "deleted"]] * MANY


def test_what_vanished_behind_our_back_during_a_pass_alarms(worker: Worker) -> None:
    made = worker.installation.create(worker.ready_image(maximum=MANY + 1), MANY)
    worker.work()

    def vanish(other: Worker) -> None:
        for container_id in made:
            other.docker.remove(worker.docker_id(container_id))

    report = pass_during(worker, vanish)

    assert report.quarantined
    assert report.drift.alarm == "6 of 6 recorded containers are missing on the engine"
    assert [worker.told(container_id) for container_id in made] == [RAN] * MANY
