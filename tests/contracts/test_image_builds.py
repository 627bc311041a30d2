"""What `ContainerEngine` promises of builds and tags, held against Docker and against the fake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from application.errors import (
    BuildFailed,
    BuildInterrupted,
    BuildTimedOut,
    EngineInterrupted,
    EngineRefused,
    EngineTransient,
)
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import Subject, wait_until

HANGS = "echo begun; sleep 1000"


def test_an_image_that_was_built_can_be_run_by_its_id(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path))

    docker_image_id = subject.engine.build(order)

    assert docker_image_id.startswith("sha256:")
    assert subject.engine.create(subject.order(docker_image_id))
    assert "COPY busybox /bin/busybox" in order.log.read_text()


def test_a_step_that_fails_is_the_reason(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path, run="echo on my way; exit 7"))

    with pytest.raises(BuildFailed, match=r"exit code: 7$"):
        subject.engine.build(order)

    assert "on my way" in order.log.read_text()


def test_a_context_without_a_dockerfile_is_the_reason(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="failed to read dockerfile"):
        subject.engine.build(subject.build_order(tmp_path))


def test_a_malformed_dockerfile_is_the_reason(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nNONSENSE here\n")

    with pytest.raises(BuildFailed, match="unknown instruction: NONSENSE"):
        subject.engine.build(subject.build_order(tmp_path))


def test_a_build_that_takes_too_long_has_failed(subject: Subject, tmp_path: Path) -> None:
    context = make_busybox_context(tmp_path, run=HANGS)

    with pytest.raises(BuildTimedOut, match=r"took longer than 1\.5 seconds"):
        subject.engine.build(subject.build_order(context, timeout_seconds=1.5))


def test_a_build_is_interrupted_by_its_id_alone(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path, run=HANGS))

    with ThreadPoolExecutor(1) as pool:
        build = pool.submit(subject.engine.build, order)
        wait_until(lambda: order.log.is_file() and "begun" in order.log.read_text())
        subject.engine.interrupt_build(order.build_id + 1000)
        assert not build.done()
        subject.engine.interrupt_build(order.build_id)

        with pytest.raises(BuildInterrupted):
            build.result(timeout=10.0)


def test_a_worker_that_ends_interrupts_its_calls_and_makes_no_more(
    subject: Subject, tmp_path: Path
) -> None:
    engine = subject.new_engine()
    order = subject.build_order(make_busybox_context(tmp_path, run=HANGS))

    with ThreadPoolExecutor(1) as pool:
        build = pool.submit(engine.build, order)
        wait_until(lambda: order.log.is_file() and "begun" in order.log.read_text())
        engine.interrupt_all()

        with pytest.raises(BuildInterrupted):
            build.result(timeout=10.0)
    with pytest.raises(EngineInterrupted):
        engine.inspect("contract-nobody")
    with pytest.raises(BuildInterrupted):
        engine.build(order)


def test_the_log_of_an_earlier_attempt_is_overwritten(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path))
    order.log.parent.mkdir(exist_ok=True)
    order.log.write_text("an earlier attempt\n" * 1000)

    subject.engine.build(order)

    assert "an earlier attempt" not in order.log.read_text()


def test_an_image_goes_with_its_last_tag(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path, "exit 41"))
    docker_image_id = subject.engine.build(order)
    second = order.tags[0].replace(":b", ":second-")

    subject.engine.tag(docker_image_id, second)
    subject.engine.remove_tag(order.tags[0])
    container = subject.engine.create(subject.order(docker_image_id))
    subject.engine.remove(container)
    subject.engine.remove_tag(second)
    subject.engine.remove_tag(second)

    with pytest.raises(EngineRefused):
        subject.engine.create(subject.order(docker_image_id))
    with pytest.raises(EngineRefused):
        subject.engine.tag(docker_image_id, second)


def test_the_last_tag_stays_while_a_container_needs_it(subject: Subject, tmp_path: Path) -> None:
    order = subject.build_order(make_busybox_context(tmp_path, "exit 42"))
    container = subject.engine.create(subject.order(subject.engine.build(order)))

    with pytest.raises(EngineTransient):
        subject.engine.remove_tag(order.tags[0])
    subject.engine.remove(container)
    subject.engine.remove_tag(order.tags[0])

    assert subject.engine.inspect(container) is None


def test_what_was_built_is_listed_as_ours_and_as_nobody_elses(
    subject: Subject, tmp_path: Path
) -> None:
    order = subject.build_order(make_busybox_context(tmp_path, "exit 43"))
    docker_image_id = subject.engine.build(order)
    second = order.tags[0].replace(":b", ":second-")
    subject.engine.tag(docker_image_id, second)

    (listed,) = [
        image for image in subject.engine.list_images() if image.docker_image_id == docker_image_id
    ]

    assert set(listed.tags) == {order.tags[0], second}
    assert (listed.image_id, listed.build_id) == (order.image_id, order.build_id)
    assert listed.touched_at is not None
    assert subject.other_installation().list_images() == []


def test_an_image_that_lost_its_tag_goes_by_its_id_once_no_container_needs_it(
    subject: Subject, tmp_path: Path
) -> None:
    order = subject.build_order(make_busybox_context(tmp_path / "first", "exit 44"))
    untagged = subject.engine.build(order)
    container = subject.engine.create(subject.order(untagged))
    make_busybox_context(tmp_path / "second", "exit 45")
    tagged = subject.engine.build(replace(order, context=tmp_path / "second"))

    def tags() -> dict[str, tuple[str, ...]]:
        listed = subject.engine.list_images()
        return {image.docker_image_id: tuple(image.tags) for image in listed}

    assert (tags()[untagged], tags()[tagged]) == ((), order.tags)
    with pytest.raises(EngineTransient):
        subject.engine.remove_image(untagged)
    with pytest.raises(EngineTransient):
        subject.engine.remove_image(tagged)
    subject.engine.remove(container)
    subject.engine.remove_image(untagged)
    subject.engine.remove_image(untagged)

    assert untagged not in tags()
    assert tags()[tagged] == order.tags
