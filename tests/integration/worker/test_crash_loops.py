"""What a container that ends again and again shows of its last end, whatever became of a worker."""

from application.errors import EngineUnreachable
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.integration.worker.worker import RAN, Worker


def exit_codes(worker: Worker, container_id: int) -> list[int | None]:
    rows = worker.installation.rows(
        "SELECT (convert_from(payload, 'UTF8')::jsonb ->> 'exit_code')::integer AS code FROM events"
        f" WHERE container_id = {container_id} ORDER BY sequence"
    )
    return [row["code"] for row in rows]


def crash(worker: Worker, container_id: int, exit_code: int = 1) -> None:
    worker.docker.end(worker.docker_id(container_id), exit_code)
    worker.pass_over()


def test_a_crash_loop_shows_how_it_ended_last_also_while_it_is_up(worker: Worker) -> None:
    container_id = worker.run_container(App(output="boom"))
    crash(worker, container_id, 3)
    worker.come_due()
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["crash_count"]) == ("running", 1)
    assert (row["exit_code"], row["oom_killed"], row["last_log_lines"]) == (3, False, "boom")
    assert exit_codes(worker, container_id) == [None, None, 3, None]


def test_what_a_user_starts_anew_shows_nothing_of_what_was_before(worker: Worker) -> None:
    container_id = worker.run_container(App(output="boom"))
    crash(worker, container_id, 3)

    worker.wish(container_id, Desired.RUNNING)

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["exit_code"], row["last_log_lines"]) == ("running", None, None)


def test_an_end_that_nobody_saw_is_not_told_with_the_exit_code_of_the_one_before(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    crash(worker, container_id, 3)
    worker.come_due()
    worker.work()

    worker.docker.restart(worker.docker_id(container_id))
    worker.pass_over()

    assert worker.told(container_id)[-2:] == ["stopped", "started"]
    assert exit_codes(worker, container_id)[-2:] == [None, None]


def test_last_words_that_could_not_be_fetched_are_fetched_by_the_next_pass_once(
    worker: Worker,
) -> None:
    container_id = worker.run_container(App(output="boom"))
    worker.engine.fail_next("log_lines", EngineUnreachable("the worker died over it"))
    crash(worker, container_id)
    lost = worker.installation.row("containers", container_id)["last_log_lines"]

    found = worker.pass_over()
    again = worker.pass_over()

    assert (lost, found.drift.nominated, again.drift.nominated) == (None, [container_id], [])
    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["last_log_lines"]) == ("exited", "boom")
    assert worker.told(container_id) == [*RAN, "stopped"]


def test_last_words_that_could_not_be_fetched_are_fetched_before_the_next_start(
    worker: Worker,
) -> None:
    container_id = worker.run_container(App(output="boom"))
    worker.engine.fail_next("log_lines", EngineUnreachable("the worker died over it"))
    crash(worker, container_id)

    worker.come_due()
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["last_log_lines"]) == ("running", "boom")
    calls = [kind for kind, _ in worker.engine.calls if kind in {"start", "log_lines"}]
    assert calls == ["start", "log_lines", "log_lines", "start"]


def test_a_crash_does_not_show_the_words_of_the_one_before(worker: Worker) -> None:
    container_id = worker.run_container(App(output="boom"))
    crash(worker, container_id)
    worker.come_due()
    worker.work()

    worker.engine.fail_next("log_lines", EngineUnreachable("the worker died over it"))
    crash(worker, container_id)

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["crash_count"], row["last_log_lines"]) == ("exited", 2, None)


def test_a_stop_after_a_crash_leaves_its_last_words(worker: Worker) -> None:
    container_id = worker.run_container(App(output="boom"))
    crash(worker, container_id, 3)

    worker.wish(container_id, Desired.STOPPED)

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["exit_code"], row["last_log_lines"]) == ("stopped", 3, "boom")
