"""Worker processes see to min_instances, together and without their engine."""

from pathlib import Path

from entrypoints.dev.service_processes import ServiceProcess
from tests.integration.http.raw_requests import wait_until
from tests.integration.postgres.installation import Installation
from tests.integration.worker_process.conftest import WorkerSettings


def told(log: Path) -> int:
    """How often a worker has told of instances that it made."""
    return log.read_text().count("instances kept")


def test_two_workers_make_as_many_instances_as_are_asked_for_and_tell_it_once(
    database: str, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    with Installation(database, tmp_path / "volume") as installation:
        installation.ready_image(minimum=2, maximum=3)

        workers = [ServiceProcess("worker", worker_settings(database), log) for log in logs]
        for worker in workers:
            worker.start()
        # It is told after it is done, and a worker that ends waits for nobody who still tells.
        wait_until(lambda: sum(told(log) for log in logs), "instances are made and told")
        for worker in workers:
            worker.stop()

        made = installation.rows("SELECT status, created_by FROM containers")
    assert made == [{"status": "creating", "created_by": "min_instances"}] * 2
    assert sum(told(log) for log in logs) == 1
    assert not any("Traceback" in log.read_text() for log in logs)
