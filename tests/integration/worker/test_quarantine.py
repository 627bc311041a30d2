"""An engine that is not trusted is left alone until an operator vouches for it, or gives it up."""

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.postgres.lost_engines import PostgresLostEngines
from adapters.postgres.quarantine import PostgresQuarantine
from application.declare_engine_lost import DeclareEngineLost, DeclareEngineLostHandler, LostSoFar
from application.errors import CommandRefused, LeaseLost, NotFound
from application.leases import BuildQuota
from application.run_build import RunBuild
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.crashes import Crash, CrashingTransactions
from tests.integration.postgres.installation import utc_now
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.worker import Worker

MANY = 6


@pytest.fixture
def quarantine(worker: Worker) -> PostgresQuarantine:
    return PostgresQuarantine(worker.installation.pool)


def declare_lost(worker: Worker, reason: str = "burnt") -> LostSoFar:
    """Declare the worker's engine lost; return how far that came."""
    *_, last = _handler(worker).handle(DeclareEngineLost(worker.engine_id, reason))
    return last


def _handler(worker: Worker) -> DeclareEngineLostHandler:
    installation = worker.installation
    lost_engines = PostgresLostEngines(installation.pool)
    return DeclareEngineLostHandler(
        installation.transactions, lost_engines, installation.store, utc_now
    )


def unreached(worker: Worker, seconds: float = 61) -> None:
    """Let so much time pass since a worker reached the engine."""
    worker.installation.execute(
        f"UPDATE engines SET reached_at = now() - make_interval(secs => {seconds})"
        f" WHERE engine_id = '{worker.engine_id}'"
    )


def engine_row(worker: Worker) -> Mapping[str, Any]:
    (row,) = worker.installation.rows(
        "SELECT quarantined_at, quarantine_reason FROM engines"
        f" WHERE engine_id = '{worker.engine_id}'"
    )
    return row


def run_many(worker: Worker) -> list[int]:
    ids = worker.installation.create(worker.ready_image(maximum=MANY), MANY)
    worker.work()
    return ids


def remove_all(worker: Worker) -> None:
    for seen in worker.engine.list_ours():
        worker.docker.remove(seen.docker_id)


# ---- trust -------------------------------------------------------------------------------------


def test_nothing_is_told_of_an_engine_that_lost_too_much_until_it_is_trusted(
    worker: Worker, quarantine: PostgresQuarantine
) -> None:
    ids = run_many(worker)
    remove_all(worker)

    report = worker.pass_over()
    worker.come_due()
    untouched = [worker.status(id_) for id_ in ids]
    quarantine.trust(worker.engine_id)
    worker.pass_over()
    worker.come_due()
    worker.pass_over()

    assert report.quarantined
    assert untouched == ["running"] * MANY
    assert [worker.status(id_) for id_ in ids] == ["deleted"] * MANY
    assert Auditor(worker).found() == []


def test_trust_ends_with_a_pass_that_finds_nothing_alarming(
    worker: Worker, quarantine: PostgresQuarantine
) -> None:
    run_many(worker)
    worker.census.quarantine(worker.engine_id, "by hand")
    quarantine.trust(worker.engine_id)

    worker.pass_over()
    remove_all(worker)
    report = worker.pass_over()

    assert report.quarantined
    assert engine_row(worker)["quarantine_reason"].startswith(f"{MANY} of {MANY}")


def test_trusting_makes_a_pass_due(worker: Worker, quarantine: PostgresQuarantine) -> None:
    assert worker.census.take_turn(worker.engine_id, 3600)
    worker.census.quarantine(worker.engine_id, "by hand")

    quarantine.trust(worker.engine_id)

    assert worker.census.take_turn(worker.engine_id, 3600)


def test_an_engine_that_is_unknown_or_trusted_cannot_be_trusted(
    worker: Worker, quarantine: PostgresQuarantine
) -> None:
    with pytest.raises(NotFound):
        quarantine.trust("nobody")
    with pytest.raises(CommandRefused):
        quarantine.trust(worker.engine_id)


def test_the_overview_tells_what_an_engine_holds_and_why_it_is_in_quarantine(
    worker: Worker, quarantine: PostgresQuarantine
) -> None:
    worker.run_container()
    worker.pass_over()
    worker.census.quarantine(worker.engine_id, "by hand")

    (engine,) = (each for each in quarantine.overview() if each.engine_id == worker.engine_id)

    assert (engine.reachable, engine.held, engine.quarantine_reason) == (True, 1, "by hand")
    assert engine.passed_at is not None
    assert engine.quarantined_at is not None
    assert engine.reached_seconds is not None
    assert engine.reached_seconds < 60


# ---- lost --------------------------------------------------------------------------------------


def test_everything_on_a_lost_engine_is_told_as_ended(worker: Worker) -> None:
    image_id = worker.ready_image(maximum=5)
    running, stopped = worker.installation.create(image_id, 2)
    worker.work()
    worker.installation.wish(stopped, Desired.STOPPED)
    worker.work()
    (creating,) = worker.installation.create(image_id)
    unreached(worker)

    so_far = declare_lost(worker)

    assert so_far == LostSoFar(images=1, containers=3)
    assert worker.told(running) == ["created", "started", "stopped", "deleted"]
    assert worker.told(stopped) == ["created", "started", "stopped", "deleted"]
    assert worker.told(creating) == []
    assert [worker.status(id_) for id_ in (running, stopped, creating)] == ["deleted"] * 3
    assert worker.held_ports() == []
    assert engine_row(worker)["quarantine_reason"] == "declared lost: burnt"
    other = Worker(worker.installation, FakeContainerEngine())
    other.work()
    assert Auditor(other).found() == []


def test_the_end_of_what_was_lost_is_the_reconcilers(worker: Worker) -> None:
    container_id = worker.run_container()
    unreached(worker)

    declare_lost(worker)

    causes = worker.installation.rows(
        "SELECT convert_from(payload, 'UTF8')::json ->> 'cause' AS cause FROM events"
        f" WHERE container_id = {container_id} ORDER BY sequence"
    )
    assert [row["cause"] for row in causes] == ["api", "api", "reconciler", "reconciler"]


def test_a_container_that_failed_on_a_lost_engine_goes_too(worker: Worker) -> None:
    container_id = worker.run_container(App(exits_with=1))
    unreached(worker)

    declare_lost(worker)

    assert worker.told(container_id) == ["failed", "deleted"]


def test_a_ready_image_is_built_again_on_another_engine(worker: Worker) -> None:
    image_id = worker.ready_image()
    unreached(worker)

    declare_lost(worker)
    declare_lost(worker)
    waiting = worker.installation.row("images", image_id)
    other = Worker(worker.installation, FakeContainerEngine())
    other.work()

    image = worker.installation.row("images", image_id)
    assert (waiting["status"], waiting["active_build_id"], waiting["engine_id"]) == (
        "building",
        None,
        None,
    )
    assert (image["status"], image["engine_id"]) == ("ready", other.engine_id)
    assert worker.installation.told(f"image/{image_id}") == [
        "image.build_started",
        "image.ready",
        "image.build_started",
        "image.ready",
    ]


def test_a_build_that_ran_there_is_taken_up_by_another_engine(worker: Worker) -> None:
    image_id = worker.installation.upload()
    lease = worker.claim_build()
    crashing = CrashingTransactions(worker.installation.transactions, spared=1)
    dying = RunBuild(
        crashing,
        worker.engine,
        worker.installation.store,
        utc_now,
        print,
        BuildQuota(per_worker=10, per_user=10),
        worker.space,
        worker.installation.claim_volume.check,
        timeout_seconds=900,
    )
    with pytest.raises(Crash):
        dying.act(lease, worker.engine_id)
    unreached(worker)

    declare_lost(worker)
    other = Worker(worker.installation, FakeContainerEngine())
    other.docker.app_of_builds = App()
    other.work()

    image = worker.installation.row("images", image_id)
    assert (image["status"], image["engine_id"]) == ("ready", other.engine_id)


def test_an_image_in_deletion_is_removed_by_another_worker(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)
    unreached(worker)

    declare_lost(worker)
    other = Worker(worker.installation, FakeContainerEngine())
    other.work()

    assert worker.installation.row("images", image_id)["status"] == "deleted"
    assert Auditor(other).found() == []


def test_what_a_paused_worker_records_later_is_refused(worker: Worker) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())
    claim = worker.claim()
    unreached(worker)

    declare_lost(worker)
    with pytest.raises(LeaseLost):
        worker.carry_out(claim)

    assert worker.status(container_id) == "deleted"


def test_nobody_takes_up_what_was_lost_when_the_engine_comes_back(
    worker: Worker, quarantine: PostgresQuarantine
) -> None:
    container_id = worker.run_container()
    worker.installation.wish(container_id, Desired.STOPPED)
    unreached(worker)
    declare_lost(worker)

    quarantine.trust(worker.engine_id)
    worker.work()

    # The image is built again, as anywhere else.
    assert worker.told(container_id) == ["created", "started", "stopped", "deleted"]
    assert worker.work() == 0


def test_only_an_engine_that_nobody_reached_for_a_minute_is_lost(worker: Worker) -> None:
    container_id = worker.run_container()
    unreached(worker, seconds=50)

    with pytest.raises(CommandRefused, match=r"reached it 5[0-9] s ago"):
        declare_lost(worker)
    with pytest.raises(NotFound):
        next(_handler(worker).handle(DeclareEngineLost("nobody", "why")))

    assert worker.status(container_id) == "running"
    assert engine_row(worker)["quarantined_at"] is None


def test_an_engine_that_is_reported_as_away_was_not_reached(worker: Worker) -> None:
    worker.run_container()
    unreached(worker)
    worker.installation.registry.heartbeat(
        worker.engine_id, "10.0.0.1", "fake", reachable=False, detail="away"
    )

    assert declare_lost(worker).containers == 1


def test_a_declaration_that_was_cut_short_is_made_again(worker: Worker) -> None:
    container_id = worker.run_container()
    unreached(worker)
    crashing = CrashingTransactions(worker.installation.transactions, spared=1)
    lost_engines = PostgresLostEngines(worker.installation.pool)
    cut_short = DeclareEngineLostHandler(crashing, lost_engines, worker.installation.store, utc_now)

    with pytest.raises(Crash):
        list(cut_short.handle(DeclareEngineLost(worker.engine_id, "burnt")))
    before = worker.status(container_id)
    so_far = declare_lost(worker)

    assert (before, so_far) == ("running", LostSoFar(images=0, containers=1))
    assert worker.told(container_id) == ["created", "started", "stopped", "deleted"]


def test_an_image_whose_good_build_is_elsewhere_keeps_it(worker: Worker) -> None:
    image_id = worker.ready_image()
    worker.installation.execute(
        "INSERT INTO engines (engine_id, host, version, reachable)"
        " VALUES ('gone', '10.0.0.9', 'fake', false) ON CONFLICT DO NOTHING"
    )
    worker.installation.execute(f"UPDATE images SET engine_id = 'gone' WHERE id = {image_id}")

    *_, so_far = _handler(worker).handle(DeclareEngineLost("gone", "burnt"))

    image = worker.installation.row("images", image_id)
    assert (so_far.images, image["status"], image["engine_id"]) == (1, "ready", None)
    assert image["active_build_id"] is not None
