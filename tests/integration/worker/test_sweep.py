"""A sweep removes what nobody needs, and nothing else, on a real database and real folders."""

import os
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.volume.stored_files import VolumeStoredFiles
from application.errors import EngineTransient, EngineUnreachable, EngineUntrusted
from application.leftovers import Kind
from application.sweep_leftovers import SweepLeftovers
from application.sweep_report import SweepReport
from domain.container_status import Desired
from tests.contracts.fake_docker import App, ImageLabels
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.worker import Worker

GRACE_SECONDS = 3600.0
USER = "user-1"


class Sweeper:
    """A worker's sweeps, at a time that is far past every grace unless a test sets it."""

    def __init__(self, worker: Worker) -> None:
        self.now = worker.docker.started_at + timedelta(days=1)
        self.register = PostgresSweepRegister(worker.installation.pool)
        self.base = worker.installation.store.path("")
        self._worker = worker
        self._sweeps = SweepLeftovers(
            worker.engine,
            VolumeStoredFiles(self.base),
            self.register,
            lambda: self.now,
            grace_seconds=GRACE_SECONDS,
        )

    def run(self, *, dry_run: bool = False) -> SweepReport:
        return self._sweeps.run(self._worker.engine_id, dry_run=dry_run)

    def names(self, report: SweepReport | None = None) -> set[str]:
        return {leftover.name for leftover in (report or self.run()).removed}

    def make(self, *names: str) -> None:
        for name in names:
            (self.base / name).parent.mkdir(parents=True, exist_ok=True)
            (self.base / name).write_text("content")

    def age(self, name: str, changed_at: datetime) -> None:
        """Let all of a folder have been written at one time."""
        path = self.base / name
        for each in (*path.rglob("*"), path):
            os.utime(each, (changed_at.timestamp(),) * 2, follow_symlinks=False)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.base)) for path in self.base.rglob("*")}


@pytest.fixture
def sweeper(worker: Worker) -> Sweeper:
    sweeper = Sweeper(worker)
    # The volume is the module's, and the earlier tests' leftovers with it.
    sweeper.run()
    return sweeper


def labelled(worker: Worker, image_id: int, build_id: int, *tags: str) -> str:
    """Put what a build made on the engine; returns its Docker image id."""
    labels = ImageLabels("test", image_id, build_id)
    return worker.docker.add_image(App(), *tags, labels=labels)


def build_id(worker: Worker, image_id: int) -> int:
    row = worker.installation.row("images", image_id)
    return int(row["active_build_id"])


def add_build(worker: Worker, image_id: int, status: str = "failed") -> int:
    """Record another build of an image."""
    (row,) = worker.installation.rows(
        "INSERT INTO builds (image_id, user_id, status, log_path, created_at)"
        f" VALUES ({image_id}, '{USER}', '{status}', '', now()) RETURNING id"
    )
    return int(row["id"])


# ---- what stays ----------------------------------------------------------------------------


def test_all_that_lives_stays(worker: Worker, sweeper: Sweeper) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    waiting = worker.installation.upload(hostname="waiting.example.com")
    files, engine = sweeper.files(), worker.engine.snapshot()

    report = sweeper.run()

    assert (report.removed, report.kept) == ([], [])
    assert (sweeper.files(), worker.engine.snapshot()) == (files, engine)
    assert {f"{USER}/{image_id}/context", f"{USER}/{waiting}/context"} <= files


def test_an_image_that_is_being_deleted_is_left_to_its_removal(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id = worker.ready_image()
    worker.installation.delete_image(image_id)
    files, tags = sweeper.files(), worker.engine.snapshot().tags

    assert sweeper.names() == set()
    assert (sweeper.files(), worker.engine.snapshot().tags) == (files, tags)


def test_what_is_younger_than_the_grace_stays(worker: Worker, sweeper: Sweeper) -> None:
    upload = f".incoming/{uuid.uuid4().hex}"
    tag = "nvidia-app-uuser-1-i999999:latest"
    sweeper.make(upload, f"{USER}/999999/context/file")
    labelled(worker, 999_999, 1, tag)
    made = worker.docker.started_at
    for name in (upload, f"{USER}/999999"):
        sweeper.age(name, made)

    sweeper.now = made + timedelta(seconds=GRACE_SECONDS - 1)
    early = sweeper.names()
    sweeper.now = made + timedelta(seconds=GRACE_SECONDS + 1)

    assert early == set()
    assert sweeper.names() == {upload, f"{USER}/999999", tag}


def test_an_upload_that_goes_on_stays(worker: Worker, sweeper: Sweeper) -> None:
    folder = f".incoming/.{uuid.uuid4().hex}.extracting"
    sweeper.make(f"{folder}/deep/first", f"{folder}/deep/second")
    sweeper.age(folder, sweeper.now - timedelta(days=7))
    last = (sweeper.now - timedelta(seconds=5)).timestamp()
    os.utime(sweeper.base / folder / "deep" / "second", (last, last))

    assert sweeper.names() == set()


def test_tags_of_others_stay(worker: Worker, sweeper: Sweeper) -> None:
    tags = ("web:latest", "nvidia-app-uuser-1-i999999:latest")
    worker.docker.add_image(App(), tags[0], labels=ImageLabels("test", 999_999, 1))
    worker.docker.add_image(App(), tags[1], labels=ImageLabels("another", 999_999, 1))
    worker.docker.add_image(App())

    assert sweeper.names() == set()
    assert set(worker.engine.snapshot().tags) == set(tags)


# ---- what goes -----------------------------------------------------------------------------


def test_files_without_rows_go_and_are_told_with_their_bytes(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id = worker.ready_image()
    upload = f".incoming/{uuid.uuid4().hex}"
    log = f"{USER}/{image_id}/builds/999999.log"
    sweeper.make(upload, log, "ghost/5/context/file", "ghost/5/builds/9.log", "ghost/notes/mine")

    report = sweeper.run()

    told = {(each.kind, each.name): each.size_bytes for each in report.removed}
    assert told == {
        (Kind.UPLOAD, upload): len("content"),
        (Kind.BUILD_LOG, log): len("content"),
        (Kind.CONTEXT, "ghost/5"): 2 * len("content"),
    }
    assert report.size_bytes == 4 * len("content")
    assert not {upload, log, "ghost/5"} & sweeper.files()
    assert {"ghost/notes/mine", f"{USER}/{image_id}/context/Dockerfile"} <= sweeper.files()


def test_what_a_late_worker_wrote_for_a_deleted_image_goes(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id = worker.ready_image()
    build, public = build_id(worker, image_id), f"nvidia-app-uuser-1-i{image_id}:latest"
    worker.installation.delete_image(image_id)
    worker.work()
    late = f"nvidia-app-uuser-1-i{image_id}:b{build}"
    sweeper.make(f"{USER}/{image_id}/builds/{build}.log")
    labelled(worker, image_id, build, late, public)

    assert sweeper.names() == {late, public, f"{USER}/{image_id}"}
    assert worker.engine.snapshot().tags == {}
    assert f"{USER}/{image_id}" not in sweeper.files()


def test_the_tag_of_an_earlier_build_goes_with_its_last_container(
    worker: Worker, sweeper: Sweeper
) -> None:
    container_id = worker.run_container()
    image_id = worker.installation.row("containers", container_id)["image_id"]
    old = f"nvidia-app-uuser-1-i{image_id}:b{build_id(worker, image_id)}"
    new_id = add_build(worker, image_id)
    digest = labelled(worker, image_id, new_id, f"nvidia-app-uuser-1-i{image_id}:b{new_id}")
    worker.docker.tag(digest, f"nvidia-app-uuser-1-i{image_id}:latest")
    worker.installation.execute(f"UPDATE images SET active_build_id = {new_id}")

    in_use = sweeper.names()
    worker.installation.wish(container_id, Desired.DELETED)
    worker.work()
    past = sweeper.names()

    assert (in_use, past) == (set(), {old})
    assert len(worker.engine.snapshot().tags) == 2


def test_the_tag_of_a_build_that_runs_stays_and_that_of_one_that_failed_goes(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id = worker.ready_image()
    failed, running = add_build(worker, image_id), add_build(worker, image_id, "running")
    tags = {each: f"nvidia-app-uuser-1-i{image_id}:b{each}" for each in (failed, running)}
    for each, tag in tags.items():
        labelled(worker, image_id, each, tag)

    assert sweeper.names() == {tags[failed]}
    assert tags[running] in worker.engine.snapshot().tags


def test_an_untagged_image_goes_unless_it_is_the_result_of_a_build_in_use(
    worker: Worker, sweeper: Sweeper
) -> None:
    image_id = worker.ready_image()
    row = worker.installation.row("builds", build_id(worker, image_id))
    for tag in worker.engine.snapshot().tags:
        # By another attempt, as Docker does: the former image loses its tag.
        worker.docker.add_image(App(), tag)
    abandoned = labelled(worker, image_id, row["id"])

    assert sweeper.names() == {abandoned}
    left = worker.docker.list_images("test")
    assert [image.docker_image_id for image in left] == [row["docker_image_id"]]


def test_what_docker_refuses_is_kept_and_told_with_the_reason(
    worker: Worker, sweeper: Sweeper
) -> None:
    tags = [f"nvidia-app-uuser-1-i{image_id}:latest" for image_id in (999_998, 999_999)]
    for image_id, tag in zip((999_998, 999_999), tags, strict=True):
        labelled(worker, image_id, 1, tag)
    worker.engine.fail_next("remove_tag", EngineTransient("a container is using it"))

    report = sweeper.run()

    assert sweeper.names(report) == {tags[1]}
    ((kept),) = report.kept
    assert (kept.leftover.name, kept.reason) == (tags[0], "a container is using it")


# ---- when nothing is removed ---------------------------------------------------------------


@pytest.fixture
def leftovers(worker: Worker, sweeper: Sweeper) -> set[str]:
    """One of each kind that needs no living image."""
    tag = "nvidia-app-uuser-1-i999999:latest"
    sweeper.make(".incoming/" + "a" * 32, f"{USER}/999999/context/file")
    untagged = labelled(worker, 999_999, 1)
    labelled(worker, 999_999, 2, tag)
    return {".incoming/" + "a" * 32, f"{USER}/999999", untagged, tag}


def test_a_dry_run_tells_all_of_it_and_removes_nothing(
    worker: Worker, sweeper: Sweeper, leftovers: set[str]
) -> None:
    files, images = sweeper.files(), worker.docker.list_images("test")

    report = sweeper.run(dry_run=True)

    assert sweeper.names(report) == leftovers
    assert (sweeper.files(), worker.docker.list_images("test")) == (files, images)
    assert sweeper.names() == leftovers


def _list_fails(worker: Worker) -> None:
    worker.engine.fail_next("list_images", EngineTransient("half of it"))


def _quarantine(worker: Worker) -> None:
    worker.census.quarantine(worker.engine_id, "many are missing")


def _another_engine(worker: Worker) -> None:
    worker.engine.another_engine()


def _unreachable(worker: Worker) -> None:
    worker.docker.reachable = False


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


# ---- whose turn it is ----------------------------------------------------------------------


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
        lambda: sweeper.now,
        grace_seconds=GRACE_SECONDS,
    )

    with pytest.raises(EngineUntrusted, match="no worker has ever seen"):
        sweeps.run(engine.docker.engine_id)
