"""A container that does not come up: tried again where that may help, or failed without a trace."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from application.bring_up_container import Verdict
from application.errors import (
    EngineError,
    EngineExhausted,
    EngineTransient,
    EngineUnreachable,
    NameConflict,
    OutcomeUnknown,
    StartWedged,
)
from application.new_container import PORTS_TRIED, STARTS_TRIED
from application.reconcile_container import CREATE_ATTEMPTS, EXHAUSTED_ATTEMPTS
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.creations import created, expect_failed_without_a_trace
from tests.integration.worker.worker import Worker


def test_five_ports_in_turn_are_tried_and_then_it_has_failed(worker: Worker) -> None:
    container_id = created(worker)
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        worker.docker.occupy_port(port)

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"] == "5 host ports in turn were taken by others"
    expect_failed_without_a_trace(worker, container_id)


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (App(exits_with=3, output="boom\n"), "exited with code 3 before port 8080 answered"),
        (
            App(oom_killed=True, output="boom\n"),
            "ran out of memory (64m) before port 8080 answered",
        ),
        (App(listens=False, output="boom\n"), "did not listen on port 8080 within 60 seconds"),
    ],
)
def test_a_container_that_does_not_come_up_fails_with_its_reason_and_last_lines(
    worker: Worker, app: App, reason: str
) -> None:
    container_id = created(worker, app)

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status_reason"], row["last_log_lines"]) == (reason, "boom")
    assert row["oom_killed"] == app.oom_killed
    expect_failed_without_a_trace(worker, container_id)


def test_what_docker_refuses_to_start_has_failed_with_dockers_words(worker: Worker) -> None:
    container_id = created(worker, App(start_refused="exec: no such file"))

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"] == "exec: no such file"
    expect_failed_without_a_trace(worker, container_id)


def test_a_failed_containers_slot_serves_another(worker: Worker) -> None:
    image_id = worker.ready_image(App(exits_with=1), maximum=1)
    worker.installation.create(image_id)
    worker.work()

    (second,) = worker.installation.create(image_id)

    assert worker.installation.row("containers", second)["slot"] == 1


@pytest.mark.parametrize("call", ["create", "start", "inspect"])
def test_an_unreachable_engine_costs_no_attempt(worker: Worker, call: str) -> None:
    container_id = created(worker)
    worker.engine.fail_next(call, EngineUnreachable("nobody answers"))

    worker.carry_out(worker.claim())

    row = worker.installation.row("containers", container_id)
    assert (row["attempts"], row["status"]) == (0, "creating")
    worker.come_due()
    worker.work()
    assert worker.told(container_id) == ["created", "started"]


@pytest.mark.parametrize("call", ["create", "start", "inspect"])
@pytest.mark.parametrize("after", [False, True])
def test_a_call_that_was_cut_off_is_looked_into_and_tried_again(
    worker: Worker, call: str, *, after: bool
) -> None:
    container_id = created(worker)
    worker.engine.fail_next(call, OutcomeUnknown("cut off"), after=after)

    worker.carry_out(worker.claim())

    assert worker.installation.row("containers", container_id)["attempts"] == 1
    worker.come_due()
    worker.work()
    assert (worker.status(container_id), len(worker.engine.snapshot().containers)) == ("running", 1)
    assert worker.told(container_id) == ["created", "started"]


def test_a_new_container_whose_start_died_with_the_engine_is_created_anew(worker: Worker) -> None:
    container_id = created(worker)
    for _ in range(STARTS_TRIED - 1):
        worker.engine.fail_next("start", StartWedged("id already in use"))

    worker.work()

    row = worker.installation.row("containers", container_id)
    (seen,) = worker.engine.snapshot().containers.values()
    assert (row["status"], row["attempts"], row["docker_id"]) == ("running", 0, seen.docker_id)
    assert worker.told(container_id) == ["created", "started"]
    assert worker.held_ports() == [row["external_port"]]


def test_an_engine_that_starts_nothing_new_is_asked_again_later(worker: Worker) -> None:
    container_id = created(worker)
    for _ in range(STARTS_TRIED):
        worker.engine.fail_next("start", StartWedged("id already in use"))

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert (row["status"], row["attempts"]) == ("creating", 1)
    assert worker.engine.snapshot().containers == {}
    worker.come_due()
    worker.work()
    assert worker.status(container_id) == "running"


@pytest.mark.parametrize("ran_before", [False, True])
def test_what_runs_without_a_port_since_its_engine_was_killed_is_started_anew(
    worker: Worker, *, ran_before: bool
) -> None:
    container_id = created(worker)
    if ran_before:
        worker.work()
        worker.wish(container_id, Desired.STOPPED)
    told = worker.told(container_id)
    worker.engine.fail_next("start", EngineUnreachable("the engine is killed"))
    if ran_before:
        worker.wish(container_id, Desired.RUNNING)
    else:
        worker.work()
    (name,) = worker.engine.snapshot().containers
    worker.docker.reboot()
    worker.docker.run_unpublished(name)

    for _ in range(2):
        worker.come_due()
        worker.work()

    row = worker.installation.row("containers", container_id)
    (seen,) = worker.engine.snapshot().containers.values()
    assert (row["status"], row["started_at"]) == ("running", seen.started_at)
    news = ["started"] if ran_before else ["created", "started"]
    assert worker.told(container_id) == [*told, *news]


def test_an_end_that_an_engine_tells_of_while_it_ends_says_nothing_of_an_app_that_comes_up(
    worker: Worker,
) -> None:
    container_id = created(worker)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    # It ends its containers, tells of that whoever is connected, and begins anew.
    worker.docker.end(probe.docker_id, 0)
    held = worker.engine.hold_next("inspect", after=True)

    with ThreadPoolExecutor(1) as pool:
        concluding = pool.submit(worker.reconcile.conclude, claim, probe, Verdict.REFUSED)
        assert held.reached.wait(10)
        worker.docker.reboot()
        held.let_go.set()
        concluding.result(10)
    meanwhile = worker.status(container_id)
    worker.come_due()
    worker.work()

    assert meanwhile == "creating"
    assert worker.status(container_id) == "running"


def test_an_engine_without_room_is_asked_some_times_and_then_the_container_has_failed(
    worker: Worker,
) -> None:
    container_id = created(worker)
    for _ in range(EXHAUSTED_ATTEMPTS + 1):
        worker.engine.fail_next("create", EngineExhausted("no space left on device"))

    for _ in range(EXHAUSTED_ATTEMPTS):
        worker.carry_out(worker.claim())
        assert worker.status(container_id) == "creating"
        worker.come_due()
    worker.carry_out(worker.claim())

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"] == "no space left on device"
    expect_failed_without_a_trace(worker, container_id)


def test_a_renamed_container_that_is_refused_leaves_nothing_under_its_new_name(
    worker: Worker,
) -> None:
    container_id = created(worker, App(start_refused="no command specified"))
    worker.engine.fail_next("create", NameConflict("a stranger bears the name"))

    worker.work()

    expect_failed_without_a_trace(worker, container_id)


def test_a_container_that_cannot_be_created_for_unknown_reasons_is_given_up(
    worker: Worker,
) -> None:
    container_id = created(worker)
    for _ in range(CREATE_ATTEMPTS + 1):
        worker.engine.fail_next("create", OutcomeUnknown("nobody has seen this text before"))
        worker.come_due()
        worker.work()

    expect_failed_without_a_trace(worker, container_id)


def test_an_unreachable_engine_is_never_given_up_on(worker: Worker) -> None:
    container_id = created(worker)
    for _ in range(CREATE_ATTEMPTS + 2):
        worker.engine.fail_next("create", EngineUnreachable("nobody answers"))
        worker.come_due()
        worker.work()

    assert worker.status(container_id) == "creating"
    worker.come_due()
    worker.work()
    assert worker.status(container_id) == "running"


@pytest.mark.parametrize("error", [OutcomeUnknown("cut off"), EngineTransient("broken pipe")])
def test_a_call_at_whose_end_the_engine_is_away_costs_no_attempt(
    worker: Worker, error: EngineError
) -> None:
    container_id = created(worker)
    for _ in range(CREATE_ATTEMPTS + 2):
        worker.engine.fail_next("create", error)
        worker.engine.fail_next("engine_id", OutcomeUnknown("it hangs"))
        worker.carry_out(worker.claim())
        row = worker.installation.row("containers", container_id)
        assert (row["attempts"], row["status"]) == (0, "creating")
        worker.come_due()

    worker.work()

    assert worker.status(container_id) == "running"
