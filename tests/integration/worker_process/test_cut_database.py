"""A database that was away for a moment keeps nothing of what was in hand waiting for its lease."""

from pathlib import Path

import psycopg
from structlog.testing import capture_logs

from domain.container_status import Desired
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.images import build, told, uploaded
from tests.integration.worker.worker import RAN, Worker
from tests.integration.worker_process.freezing_proxy import FreezingProxy
from tests.integration.worker_process.running_dispatcher import running_dispatcher, wait_for

LEASE_SECONDS = 10.0

_SET = "SELECT FROM builds WHERE public_tag_set AND lease_until IS NULL"


def test_what_was_done_while_the_database_was_away_is_told_when_it_answers(
    database: str, proxy: FreezingProxy, tmp_path: Path
) -> None:
    engine = FakeContainerEngine()
    with (
        Installation(proxy.url, tmp_path / "volume") as installation,
        psycopg.connect(database, autocommit=True) as beside,
        capture_logs() as logs,
    ):
        worker = Worker(installation, engine)
        container_id = worker.run_container()
        held = engine.hold_next("stop", after=True)
        installation.wish(container_id, Desired.STOPPED)
        with running_dispatcher(worker, LEASE_SECONDS, at_the_end=proxy.restore):
            assert held.reached.wait(10)
            # As long as a stop with a grace of an hour is covered: nobody waits for that.
            beside.execute("UPDATE containers SET lease_until = now() + interval '1 hour'")
            proxy.cut()
            held.let_go.set()
            wait_for(lambda: any(line["event"] == "outcome not recorded" for line in logs))
            proxy.restore()
            wait_for(
                lambda: (
                    beside.execute(
                        "SELECT FROM containers WHERE status = 'stopped' AND lease_until IS NULL"
                    ).fetchone()
                    is not None
                )
            )

        assert worker.told(container_id) == [*RAN, "stopped"]
    assert [kind for kind, _ in engine.calls].count("stop") == 1


def test_a_build_whose_end_the_database_did_not_take_has_cost_no_attempt(
    database: str, proxy: FreezingProxy, tmp_path: Path
) -> None:
    engine = FakeContainerEngine()
    with (
        Installation(proxy.url, tmp_path / "volume") as installation,
        psycopg.connect(database, autocommit=True) as beside,
        capture_logs() as logs,
    ):
        worker = Worker(installation, engine)
        image_id = uploaded(worker)
        held = engine.hold_next("build", after=True)
        with running_dispatcher(worker, LEASE_SECONDS, at_the_end=proxy.restore):
            assert held.reached.wait(10)
            beside.execute("UPDATE builds SET lease_until = now() + interval '1 hour'")
            proxy.cut()
            held.let_go.set()
            wait_for(lambda: any(line["event"] == "outcome not recorded" for line in logs))
            proxy.restore()
            wait_for(lambda: beside.execute(_SET).fetchone() is not None)

        assert build(worker, image_id) == ("succeeded", 1)
        assert told(worker, image_id) == ["build_started", "ready"]
    assert [kind for kind, _ in engine.calls].count("build") == 2
