"""An audit finds nothing wherever the service alone was at work, however busy that is."""

from application.errors import EngineUnreachable
from domain.container_status import Desired
from domain.observation import Observation
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.worker import Worker


def test_an_installation_that_nobody_uses_is_clean(auditor: Auditor) -> None:
    report = auditor.run()

    assert (report.differences, report.events, report.not_audited) == ([], 0, [])


def test_the_whole_life_of_containers_and_images_is_clean_at_every_step(
    worker: Worker, auditor: Auditor
) -> None:
    installation = worker.installation
    found = []
    image_id = worker.ready_image()
    found.append(auditor.found())
    first, second = installation.create(image_id, 2)
    worker.work()
    found.append(auditor.found())
    installation.wish(first, Desired.STOPPED)
    worker.work()
    found.append(auditor.found())
    worker.docker.end(worker.docker_id(second), 3)
    worker.pass_over()
    found.append(auditor.found())
    installation.wish(first, Desired.RUNNING)
    installation.wish(second, Desired.DELETED)
    worker.work()
    found.append(auditor.found())
    installation.wish(first, Desired.DELETED)
    worker.work()
    installation.delete_image(image_id)
    worker.work()
    found.append(auditor.found())

    assert found == [[]] * 6
    assert installation.row("images", image_id)["status"] == "deleted"


def test_a_container_that_failed_is_clean(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container(App(exits_with=1))

    assert worker.status(container_id) == "failed"
    assert auditor.found() == []


def test_what_was_removed_behind_our_back_is_missing_until_a_pass_repairs_it(
    worker: Worker, auditor: Auditor
) -> None:
    container_id = worker.run_container()
    worker.docker.remove(worker.docker_id(container_id))

    before = auditor.found(settle_seconds=5)
    worker.pass_over()
    worker.come_due()
    worker.pass_over()
    after = auditor.found()

    assert before == [f"missing container/{container_id}"]
    assert (worker.status(container_id), after) == ("deleted", [])


def test_a_difference_that_the_worker_repairs_in_time_is_none(
    worker: Worker, auditor: Auditor
) -> None:
    container_id = worker.run_container()
    worker.docker.end(worker.docker_id(container_id), 1)
    auditor.meanwhile = worker.pass_over

    assert auditor.found(settle_seconds=5) == []
    assert worker.status(container_id) == "exited"


def test_what_is_under_way_is_waited_for(worker: Worker, auditor: Auditor) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())
    auditor.meanwhile = worker.work

    report = auditor.run(settle_seconds=5)

    assert (report.differences, report.in_flight) == ([], 0)
    assert worker.status(container_id) == "running"


def test_what_no_worker_brings_to_an_end_is_unsettled(worker: Worker, auditor: Auditor) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())

    assert auditor.found(settle_seconds=5) == [f"unsettled container/{container_id}"]


def test_what_a_worker_holds_is_counted_and_no_difference(worker: Worker, auditor: Auditor) -> None:
    worker.installation.create(worker.ready_image())
    worker.claim()

    report = auditor.run(settle_seconds=5)

    assert (report.differences, report.in_flight) == ([], 1)


def test_a_difference_of_what_is_held_is_unsettled(worker: Worker, auditor: Auditor) -> None:
    container_id = worker.run_container()
    worker.docker.remove(worker.docker_id(container_id))
    worker.observe(container_id)

    (difference,) = auditor.run(settle_seconds=5).differences

    assert (difference.kind, difference.which) == ("unsettled", str(container_id))
    assert difference.detail.startswith("missing: ")


def test_a_list_that_fails_is_told_and_is_no_difference(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    worker.docker.reachable = False

    report = auditor.run(settle_seconds=2)

    assert report.differences == []
    assert report.engine_failure == str(EngineUnreachable("nobody answers at DOCKER_HOST"))


def test_a_list_that_fails_once_is_taken_again(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    worker.engine.fail_next("list_ours", EngineUnreachable("away"))

    report = auditor.run(settle_seconds=2)

    assert (report.differences, report.engine_failure) == ([], None)


def test_the_containers_of_another_engine_are_not_audited(worker: Worker, auditor: Auditor) -> None:
    worker.run_container()
    former = worker.engine_id
    worker.engine.another_engine()

    report = auditor.run()

    assert (report.differences, report.audited, report.not_audited) == ([], None, [former])


class SwappingEngine(FakeContainerEngine):
    """An engine that another one replaces right after its containers were listed."""

    def list_ours(self) -> list[Observation]:
        self.another_engine()
        return super().list_ours()


def test_an_engine_that_changes_during_the_look_is_not_believed(worker: Worker) -> None:
    worker.run_container()

    report = Auditor(worker, SwappingEngine(worker.docker)).run()

    assert (report.differences, report.engine_failure) == ([], "another engine answers")


class RacedEngine(FakeContainerEngine):
    """An engine whose container is deleted, with all that follows, while it is being listed."""

    def __init__(self, worker: Worker, container_id: int) -> None:
        super().__init__(worker.docker)
        self._worker = worker
        self._container_id = container_id

    def list_ours(self) -> list[Observation]:
        listed = super().list_ours()
        self._worker.installation.wish(self._container_id, Desired.DELETED)
        self._worker.work()
        return listed


def test_what_changes_between_list_and_record_is_no_difference(worker: Worker) -> None:
    container_id = worker.run_container()

    report = Auditor(worker, RacedEngine(worker, container_id)).run()

    assert report.differences == []
