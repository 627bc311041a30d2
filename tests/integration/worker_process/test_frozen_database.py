"""A database that accepts and never answers keeps no process, and no build without its lease."""

import queue
import time
from pathlib import Path

import psycopg

from entrypoints.dev.service_processes import ServiceProcess
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.worker import Worker
from tests.integration.worker_process.conftest import WorkerSettings
from tests.integration.worker_process.freezing_proxy import FreezingProxy
from tests.integration.worker_process.running_dispatcher import running_dispatcher, wait_for

# It ends itself after 4.5 s; the rest is a busy machine's.
BOUND_SECONDS = 8.0
# A fifth of it is left when what runs out is ended: time for a busy machine's threads as well.
LEASE_SECONDS = 5.0

_LEFT = "SELECT extract(epoch FROM lease_until - now())::float8 FROM builds"


class NotingEngine(FakeContainerEngine):
    """Tells when a build was interrupted first, by the monotonic clock."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupted_at: queue.SimpleQueue[float] = queue.SimpleQueue()

    def interrupt_build(self, build_id: int) -> None:
        super().interrupt_build(build_id)
        self.interrupted_at.put(time.monotonic())


def test_sigterm_ends_a_worker_in_time(
    proxy: FreezingProxy, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    with ServiceProcess("worker", worker_settings(proxy.url), tmp_path / "log") as worker:
        process = worker.process
        proxy.freeze()
        assert proxy.unanswered.wait(10)

        asked = time.monotonic()
        worker.stop()
        seconds = time.monotonic() - asked

    # In order if none of what has to end waits for the database at the moment, else cut short, by
    # itself both times. A log that is slow to take it is not waited for to tell so.
    assert seconds < BOUND_SECONDS
    assert process is not None
    assert process.exit_code == 0


def test_a_worker_that_ends_in_order_leaves_no_folder(
    database: str, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    with ServiceProcess("worker", worker_settings(database), tmp_path / "log"):
        made = [path.name for path in (tmp_path / "tmp").glob("orch-cli-*")]

    log = (tmp_path / "log").read_text()
    assert len(made) == 1
    assert list((tmp_path / "tmp").glob("orch-cli-*")) == []
    assert "worker ended" in log
    assert "process cut short" not in log


def test_a_build_ends_before_its_lease_and_is_done_again_when_the_database_answers(
    database: str, proxy: FreezingProxy, tmp_path: Path
) -> None:
    engine = NotingEngine()
    with (
        Installation(proxy.url, tmp_path / "volume") as installation,
        psycopg.connect(database, autocommit=True) as beside,
    ):
        worker = Worker(installation, engine)
        installation.upload()
        held = engine.hold_next("build")
        with running_dispatcher(worker, LEASE_SECONDS, at_the_end=proxy.thaw):
            assert held.reached.wait(10)
            # This installation's claims last longer; its dispatcher reckons with the short ones.
            beside.execute(
                "UPDATE builds SET lease_until = now() + make_interval(secs => %s)",
                [LEASE_SECONDS],
            )
            proxy.freeze()
            interrupted_at = engine.interrupted_at.get(timeout=20)
            # Nobody prolongs it meanwhile, and so it can be looked at whenever that is.
            row = beside.execute(_LEFT).fetchone()
            looked_at = time.monotonic()
            proxy.thaw()
            wait_for(
                lambda: beside.execute("SELECT 1 FROM builds WHERE status = 'succeeded'").fetchone()
            )

    assert row is not None
    assert interrupted_at < looked_at + row[0]
    assert [kind for kind, _ in engine.calls].count("build") == 2


def test_a_worker_goes_on_when_the_database_answers_again(
    proxy: FreezingProxy, worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    with ServiceProcess("worker", worker_settings(proxy.url), tmp_path / "log") as worker:
        proxy.freeze()
        assert proxy.unanswered.wait(10)
        proxy.thaw()

        worker.stop()

    assert "process cut short" not in (tmp_path / "log").read_text()
