"""A container that ended by itself is started again by its policy, after its backoff."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.bring_up_container import Verdict
from application.errors import EngineTransient
from application.reconcile_container import CREATE_ATTEMPTS
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.integration.worker.worker import RAN, Worker


def causes(worker: Worker, container_id: int) -> list[str]:
    rows = worker.installation.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb ->> 'cause' AS cause FROM events"
        f" WHERE container_id = {container_id} ORDER BY sequence"
    )
    return [row["cause"] for row in rows]


def crash(worker: Worker, container_id: int, exit_code: int = 1) -> None:
    worker.docker.end(worker.docker_id(container_id), exit_code)
    worker.pass_over()


def with_policy(worker: Worker, policy: str) -> int:
    image_id = worker.ready_image()
    worker.installation.execute(f"UPDATE images SET restart_policy = '{policy}'")
    (container_id,) = worker.installation.create(image_id)
    worker.work()
    return container_id


def test_a_crash_is_followed_by_a_start_when_its_backoff_is_over(worker: Worker) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)
    rests = worker.status(container_id)

    worker.come_due()
    worker.work()

    assert (rests, worker.status(container_id)) == ("exited", "running")
    assert worker.told(container_id) == [*RAN, "stopped", "started"]
    assert causes(worker, container_id) == ["api", "api", "crash", "reconciler"]


def test_a_backoff_is_as_long_as_the_plan_says(worker: Worker) -> None:
    container_id = worker.run_container()

    crash(worker, container_id)

    (row,) = worker.installation.rows(
        "SELECT extract(epoch FROM next_attempt_at - now())::float8 AS seconds FROM containers"
    )
    assert 5 < row["seconds"] <= 10


def test_a_crash_loop_rests_ever_longer_and_shows_how_often(worker: Worker) -> None:
    container_id = worker.run_container()
    for _ in range(3):
        crash(worker, container_id, 3)
        worker.come_due()
        worker.work()
    crash(worker, container_id, 3)

    row = worker.installation.row("containers", container_id)
    assert (row["crash_count"], row["restart_count"], row["exit_code"]) == (4, 3, 3)
    assert row["status_reason"] == "exited with code 3"


@pytest.mark.parametrize(
    ("policy", "exit_code", "status"),
    [
        ("on-failure", 0, "exited"),
        ("on-failure", 1, "running"),
        ("always", 0, "running"),
        ("never", 1, "exited"),
    ],
)
def test_a_policy_decides(worker: Worker, policy: str, exit_code: int, status: str) -> None:
    container_id = with_policy(worker, policy)

    crash(worker, container_id, exit_code)
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == status


@pytest.mark.parametrize("policy", ["always", "on-failure", "never"])
def test_what_ended_with_the_engine_runs_again_whatever_its_policy_and_exit_code(
    worker: Worker, policy: str
) -> None:
    container_id = with_policy(worker, policy)

    worker.docker.reboot(exit_code=0)
    worker.pass_over()
    worker.work()

    assert worker.status(container_id) == "running"
    assert worker.told(container_id) == [*RAN, "stopped", "started"]
    assert causes(worker, container_id) == ["api", "api", "engine_restart", "engine_restart"]


@pytest.mark.parametrize("policy", ["never", "on-failure"])
def test_an_end_that_an_engine_tells_of_while_it_ends_in_order_is_told_as_the_engines(
    worker: Worker, policy: str
) -> None:
    container_id = with_policy(worker, policy)
    claim, held = worker.observe(container_id), worker.engine.hold_next("inspect")

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(worker.carry_out, claim)
        assert held.reached.wait(10)
        # It ends its containers, answers whoever is connected, and takes nobody in any more.
        worker.docker.end(worker.docker_id(container_id), 0)
        worker.docker.reachable = False
        held.let_go.set()
        looking.result(10)
    meanwhile = worker.told(container_id)
    worker.docker.reboot()
    worker.docker.reachable = True
    worker.pass_over()
    worker.work()

    assert meanwhile == RAN
    assert worker.status(container_id) == "running"
    assert causes(worker, container_id) == ["api", "api", "engine_restart", "engine_restart"]


def test_an_engine_that_restarts_while_a_container_comes_up_costs_it_nothing(
    worker: Worker,
) -> None:
    (container_id,) = worker.installation.create(worker.ready_image())
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None

    worker.docker.reboot()
    worker.reconcile.conclude(claim, probe, Verdict.REFUSED)
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == "running"
    assert worker.told(container_id) == RAN


def test_an_engine_that_restarts_while_a_container_starts_again_costs_it_nothing(
    worker: Worker,
) -> None:
    container_id = with_policy(worker, "never")
    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    worker.installation.wish(container_id, Desired.RUNNING)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None

    worker.docker.reboot()
    worker.reconcile.conclude(claim, probe, Verdict.REFUSED)
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == "running"
    assert worker.told(container_id) == [*RAN, "stopped", "started"]


def test_a_stop_during_a_backoff_is_carried_out_and_ends_the_loop(worker: Worker) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)

    worker.installation.wish(container_id, Desired.STOPPED)
    worker.work()
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == "stopped"
    assert worker.told(container_id) == [*RAN, "stopped"]


def test_a_start_by_a_user_does_not_wait_for_the_backoff(worker: Worker) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)

    worker.installation.wish(container_id, Desired.RUNNING)
    worker.work()

    assert worker.status(container_id) == "running"
    assert causes(worker, container_id)[-1] == "api"


def test_a_restart_that_does_not_come_up_rests_longer(worker: Worker) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)
    worker.docker.becomes(worker.docker_id(container_id), App(exits_with=7))

    worker.come_due()
    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["crash_count"]) == ("exited", 2)
    assert worker.told(container_id) == [*RAN, "stopped", "failed"]


def test_a_start_that_the_engine_fails_again_and_again_is_given_up_for_a_rest(
    worker: Worker,
) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)
    for _ in range(CREATE_ATTEMPTS + 1):
        worker.engine.fail_next("start", EngineTransient("not now"))
        worker.come_due()
        worker.work()

    row = worker.installation.row("containers", container_id)
    assert row["status"] == "exited"
    assert worker.told(container_id) == [*RAN, "stopped", "failed"]


def test_a_container_that_is_removed_during_its_backoff_is_due_no_more(worker: Worker) -> None:
    container_id = worker.run_container()
    crash(worker, container_id)
    worker.docker.remove(worker.docker_id(container_id))

    worker.pass_over()
    worker.come_due()

    assert worker.work() == 0
    assert worker.told(container_id) == [*RAN, "stopped", "deleted"]
    row = worker.installation.row("containers", container_id)
    assert (row["next_attempt_at"], row["restart_at"]) == (None, None)
