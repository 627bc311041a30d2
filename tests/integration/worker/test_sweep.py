"""A sweep removes what nobody needs, and nothing else, on a real database and real folders."""

import os
import uuid
from datetime import timedelta

from application.errors import EngineTransient
from application.leftovers import Kind
from domain.container_status import Desired
from tests.contracts.fake_docker import App, ImageLabels
from tests.integration.worker.sweeper import GRACE_SECONDS, USER, Sweeper, labelled
from tests.integration.worker.worker import Worker


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
