"""Nothing is swept in a dry run, from an engine that is not to be trusted, or out of turn."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.volume.stored_files import VolumeStoredFiles
from application.errors import EngineTransient, EngineUnreachable, EngineUntrusted
from application.sweep_leftovers import SweepLeftovers
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.sweeper import GRACE_SECONDS, USER, Sweeper, labelled, mends_of
from tests.integration.worker.worker import Worker


@pytest.fixture
def leftovers(worker: Worker, sweeper: Sweeper) -> set[str]:
    """One of each kind that needs no living image."""
    tag = "nvidia-app-uuser-1-i999999:latest"
    sweeper.make(".incoming/" + "a" * 32, f"{USER}/999999/context/file")
    untagged = labelled(worker, 999_999, 1)
    labelled(worker, 999_999, 2, tag)
    return {".incoming/" + "a" * 32, f"{USER}/999999", untagged, tag}


def _list_fails(worker: Worker) -> None:
    worker.engine.fail_next("list_images", EngineTransient("half of it"))


def _quarantine(worker: Worker) -> None:
    worker.census.quarantine(worker.engine_id, "many are missing")


def _another_engine(worker: Worker) -> None:
    worker.engine.another_engine()


def _unreachable(worker: Worker) -> None:
    worker.docker.reachable = False


def test_a_dry_run_tells_all_of_it_and_removes_nothing(
    worker: Worker, sweeper: Sweeper, leftovers: set[str]
) -> None:
    files, images = sweeper.files(), worker.docker.list_images("test")

    report = sweeper.run(dry_run=True)

    assert sweeper.names(report) == leftovers
    assert (sweeper.files(), worker.docker.list_images("test")) == (files, images)
    assert sweeper.names() == leftovers


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (_list_fails, EngineTransient),
        (_quarantine, EngineUntrusted),
        (_another_engine, EngineUntrusted),
        (_unreachable, EngineUnreachable),
    ],
)
def test_nothing_is_removed_while_the_engine_is_not_to_be_trusted(
    worker: Worker,
    sweeper: Sweeper,
    leftovers: set[str],
    trouble: Callable[[Worker], None],
    error: type[Exception],
) -> None:
    files = sweeper.files()
    trouble(worker)

    with pytest.raises(error):
        sweeper.run()

    assert sweeper.files() == files
    assert not {call for call, _ in worker.engine.calls} & {"remove_tag", "remove_image"}


def test_a_quarantine_that_begins_meanwhile_ends_the_sweep(
    worker: Worker, sweeper: Sweeper, leftovers: set[str]
) -> None:
    removed: list[str] = []

    def tell(name: str) -> None:
        removed.append(name)
        _quarantine(worker)

    with pytest.raises(EngineUntrusted, match="many are missing"):
        sweeper._sweeps.run(worker.engine_id, tell=lambda leftover: tell(leftover.name))

    assert len(removed) == 1


def test_what_is_recorded_after_the_list_is_not_removed(
    worker: Worker, sweeper: Sweeper, leftovers: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = worker.ready_image()
    context = f"{USER}/{image_id}"
    worker.installation.execute(f"UPDATE images SET status = 'deleted' WHERE id = {image_id}")
    state = VolumeStoredFiles.state

    def meanwhile(files: VolumeStoredFiles, file: object) -> object:
        # Between the first look at the record and the second one.
        worker.installation.execute(f"UPDATE images SET status = 'ready' WHERE id = {image_id}")
        return state(files, file)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(VolumeStoredFiles, "state", meanwhile)

    removed = sweeper.names()

    assert removed == leftovers
    assert (Path(sweeper.base) / context / "context").is_dir()


def test_of_several_workers_one_sweeps_an_engine_in_each_interval(
    worker: Worker, sweeper: Sweeper
) -> None:
    other = PostgresSweepRegister(worker.installation.pool)

    turns = [each.take_turn(worker.engine_id, 60) for each in (sweeper.register, other)]
    worker.installation.execute("UPDATE engines SET next_sweep_at = now() - interval '1 second'")
    later = other.take_turn(worker.engine_id, 60)
    worker.installation.execute("UPDATE engines SET next_sweep_at = now() - interval '1 second'")
    _quarantine(worker)

    assert (turns, later) == ([True, False], True)
    assert not sweeper.register.take_turn(worker.engine_id, 60)
    assert not sweeper.register.take_turn("engine-nobody-knows", 60)


def test_an_engine_that_no_worker_has_seen_is_not_touched(worker: Worker, sweeper: Sweeper) -> None:
    engine = FakeContainerEngine()
    sweeps = SweepLeftovers(
        engine,
        VolumeStoredFiles(sweeper.base),
        sweeper.register,
        mends_of(worker),
        lambda: sweeper.now,
        worker.installation.claim_volume.check,
        grace_seconds=GRACE_SECONDS,
    )

    with pytest.raises(EngineUntrusted, match="no worker has ever seen"):
        sweeps.run(engine.docker.engine_id)
