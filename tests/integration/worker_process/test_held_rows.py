"""A process that is frozen within a transaction ends nothing but what it holds."""

from pathlib import Path

import psycopg
from structlog.testing import capture_logs

from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.images import build, builds_of, uploaded
from tests.integration.worker.worker import Worker
from tests.integration.worker_process.running_dispatcher import running_dispatcher, wait_for

LEASE_SECONDS = 5.0

_SET = "SELECT FROM builds WHERE image_id = %s AND public_tag_set"


def test_a_build_goes_on_while_somebody_holds_another_one(database: str, tmp_path: Path) -> None:
    engine = FakeContainerEngine()
    with (
        Installation(database, tmp_path / "volume") as installation,
        psycopg.connect(database) as frozen,
        psycopg.connect(database, autocommit=True) as beside,
        capture_logs() as logs,
    ):
        worker = Worker(installation, engine)
        images = uploaded(worker), uploaded(worker)
        (first,), (second,) = (builds_of(worker, image_id) for image_id in images)
        calls = engine.hold_next("build"), engine.hold_next("build")
        with running_dispatcher(worker, LEASE_SECONDS, at_the_end=frozen.rollback, at_once=2):
            assert all(call.reached.wait(10) for call in calls)
            frozen.execute("SELECT FROM builds WHERE id = %s FOR UPDATE", [first])
            wait_for(lambda: any(line["event"] == "lease not renewed" for line in logs))
            for call in calls:
                call.let_go.set()
            wait_for(lambda: beside.execute(_SET, [images[1]]).fetchone() is not None)
            frozen.rollback()
            wait_for(lambda: beside.execute(_SET, [images[0]]).fetchone() is not None)

        assert [build(worker, image_id) for image_id in images] == [("succeeded", 1)] * 2
    assert engine.builds_interrupted == {first}
    assert [subject for kind, subject in engine.calls if kind == "build"].count(
        f"build-{second}"
    ) == 1
