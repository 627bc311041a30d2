"""A sweep whose database is another one, or forgot, removes nothing: not from anybody's volume."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from application.errors import EngineUntrusted, SweepDoubted, VolumeUntrusted
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import Installation
from tests.integration.worker.sweeper import USER, Sweeper, labelled
from tests.integration.worker.worker import Worker


def ready_images(worker: Worker, count: int) -> list[int]:
    for number in range(count):
        worker.installation.upload(USER, f"app-{number}.example.com")
    worker.work()
    return [row["id"] for row in worker.installation.rows("SELECT id FROM images ORDER BY id")]


def forget(worker: Worker, image_ids: list[int]) -> None:
    """Let rows be lost, as a database does that is older than what is there."""
    ids = ", ".join(map(str, image_ids))
    # One statement, so that rows which point at each other go together.
    worker.installation.execute(
        f"WITH b AS (DELETE FROM builds WHERE image_id IN ({ids}))"
        f" DELETE FROM images WHERE id IN ({ids})"
    )


def test_another_installation_cannot_sweep_the_volume(
    worker: Worker, sweeper: Sweeper, new_database: Callable[[], str], tmp_path: Path
) -> None:
    ready_images(worker, 6)
    files = sweeper.files()
    with Installation(new_database(), tmp_path / "elsewhere") as other:
        # The databases of all tests are copies of one.
        other.execute("UPDATE installation SET installation_id = gen_random_uuid()")
        empty = Worker(other, FakeContainerEngine())
        volume = worker.installation.store.path("")
        sweeps = Sweeper(empty, volume)

        with pytest.raises(VolumeUntrusted, match="the volume is installation"):
            sweeps.run()

    assert sweeper.files() == files


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_database_that_forgot_most_of_its_images_is_doubted(
    worker: Worker, sweeper: Sweeper, *, dry_run: bool
) -> None:
    images = ready_images(worker, 10)
    forget(worker, images[:6])
    files, engine = sweeper.files(), worker.engine.snapshot()

    with pytest.raises(
        SweepDoubted, match="of 10 things of kind context the database knows nothing of 6"
    ):
        sweeper.run(dry_run=dry_run)

    assert (sweeper.files(), worker.engine.snapshot()) == (files, engine)


def test_what_an_operator_insists_on_goes(worker: Worker, sweeper: Sweeper) -> None:
    images = ready_images(worker, 10)
    forget(worker, images[:6])

    swept = sweeper.names(sweeper.run(force=True))

    assert {f"{USER}/{each}" for each in images[:6]} <= swept
    assert {f"{USER}/{each}/context" for each in images[6:]} <= sweeper.files()


def test_tags_that_nothing_is_known_of_are_doubted_as_well(
    worker: Worker, sweeper: Sweeper
) -> None:
    for image_id in range(900_000, 900_006):
        labelled(worker, image_id, image_id, f"nvidia-app-u{USER}-i{image_id}:latest")
    engine = worker.engine.snapshot()

    with pytest.raises(SweepDoubted, match="of 6 things of kind tag"):
        sweeper.run()

    assert worker.engine.snapshot() == engine


def test_what_is_recorded_as_past_goes_however_much_it_is(worker: Worker, sweeper: Sweeper) -> None:
    images = ready_images(worker, 10)
    worker.installation.execute("UPDATE images SET status = 'deleted'")

    swept = sweeper.names()

    assert {f"{USER}/{each}" for each in images} <= swept
    assert worker.engine.snapshot().tags == {}


def test_an_engine_is_not_swept_before_a_pass_has_found_it_in_order(
    worker: Worker, sweeper: Sweeper
) -> None:
    sweeper.make(f"{USER}/999999/context/file")
    worker.installation.execute("UPDATE engines SET passed_at = NULL, next_sweep_at = '-infinity'")

    with pytest.raises(EngineUntrusted, match="no pass"):
        sweeper.run()
    early = sweeper.register.take_turn(worker.engine_id, 60)
    worker.pass_over()

    assert not early
    assert sweeper.register.take_turn(worker.engine_id, 60)
    assert sweeper.names() == {f"{USER}/999999"}


def test_the_pass_of_a_time_before_the_backup_came_back_is_none(
    worker: Worker, sweeper: Sweeper
) -> None:
    worker.installation.execute(
        "INSERT INTO restorations (raised_by, last_event_id, last_image_id, last_container_id)"
        " VALUES (1000000, 0, 0, 0)"
    )

    with pytest.raises(EngineUntrusted, match="no pass"):
        sweeper.run()
    worker.pass_over()

    assert sweeper.names() == set()


def test_a_volume_that_is_gone_from_its_place_is_not_swept(
    worker: Worker, sweeper: Sweeper, tmp_path: Path
) -> None:
    VolumeContextStore(tmp_path / "unmounted").prepare()
    labelled(worker, 999_999, 1, "nvidia-app-uuser-1-i999999:latest")
    engine = worker.engine.snapshot()

    with pytest.raises(VolumeUntrusted, match="is it mounted"):
        Sweeper(worker, tmp_path / "unmounted").run()

    assert worker.engine.snapshot() == engine
