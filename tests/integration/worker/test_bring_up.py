"""From wished to running, or to a failure that leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from application.bring_up_container import NAMES_TRIED, PORTS_TRIED
from application.engine_calls import ContainerOrder
from application.errors import (
    EngineExhausted,
    EngineTransient,
    EngineUnreachable,
    LeaseLost,
    NameConflict,
    OutcomeUnknown,
)
from application.reconcile_container import CREATE_ATTEMPTS, EXHAUSTED_ATTEMPTS
from domain.container_status import Desired
from tests.contracts.fake_docker import App
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import FIRST_PORT
from tests.integration.worker.worker import Worker


def created(worker: Worker, app: App | None = None) -> int:
    (container_id,) = worker.installation.create(worker.ready_image(app))
    return container_id


def expect_failed_without_a_trace(worker: Worker, container_id: int) -> None:
    row = worker.installation.row("containers", container_id)
    assert row["status"] == "failed"
    assert (row["slot"], row["external_port"]) == (None, None)
    assert worker.told(container_id) == ["failed"]
    assert worker.engine.snapshot().containers == {}
    assert worker.held_ports() == []
    assert worker.work() == 0


def test_a_container_whose_port_answers_is_told_as_created_and_started(worker: Worker) -> None:
    container_id = created(worker)

    worker.work()

    row = worker.installation.row("containers", container_id)
    (seen,) = worker.engine.snapshot().containers.values()
    assert (row["status"], row["docker_id"]) == ("running", seen.docker_id)
    assert (row["started_at"], row["container_ip"]) == (seen.started_at, "172.17.0.2")
    assert worker.told(container_id) == ["created", "started"]
    assert worker.work() == 0


def test_nothing_is_told_before_the_port_answered(worker: Worker) -> None:
    container_id = created(worker)

    claim = worker.claim()
    probe = worker.reconcile.act(claim)

    assert probe is not None
    assert probe.port == FIRST_PORT
    assert (worker.status(container_id), worker.told(container_id)) == ("creating", [])


def test_a_container_that_an_earlier_attempt_left_behind_is_adopted(worker: Worker) -> None:
    container_id = created(worker)
    worker.engine.fail_next("create", OutcomeUnknown("cut off"), after=True)

    worker.work()
    left_behind = set(worker.engine.snapshot().containers)
    worker.come_due()
    worker.work()

    assert worker.status(container_id) == "running"
    assert set(worker.engine.snapshot().containers) == left_behind
    assert worker.told(container_id) == ["created", "started"]


def test_one_of_ours_that_was_made_differently_is_replaced(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    stale = worker.docker.create(ContainerOrder.of(claim.container, 29999), "test")

    worker.carry_out(claim)

    (seen,) = worker.engine.snapshot().containers.values()
    assert seen.docker_id != stale
    assert worker.status(container_id) == "running"


def test_a_stranger_that_bears_the_name_is_left_alone_and_ours_takes_another(
    worker: Worker,
) -> None:
    container_id = created(worker)
    claim = worker.claim()
    stranger = replace(ContainerOrder.of(claim.container, 29999), uid=uuid4())
    worker.docker.create(stranger, "somebody else's")

    worker.carry_out(claim)

    row = worker.installation.row("containers", container_id)
    assert row["status"] == "running"
    assert row["name"].startswith(stranger.name)
    assert len(row["name"]) == len(stranger.name) + 8
    assert worker.engine.snapshot().containers[stranger.name].uid == stranger.uid


def test_a_name_that_stays_taken_is_tried_again_later(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    for _ in range(NAMES_TRIED):
        worker.engine.fail_next("create", NameConflict("taken"))

    worker.carry_out(claim)

    assert isinstance(worker.setbacks[-1], EngineTransient)
    assert worker.status(container_id) == "creating"
    assert worker.engine.snapshot().containers == {}


@pytest.mark.parametrize("strangers", [1, PORTS_TRIED - 1])
def test_a_port_that_a_stranger_holds_is_set_aside_and_another_is_taken(
    worker: Worker, strangers: int
) -> None:
    container_id = created(worker)
    for port in range(FIRST_PORT, FIRST_PORT + strangers):
        worker.docker.occupy_port(port)

    worker.work()

    row = worker.installation.row("containers", container_id)
    aside = worker.installation.rows(
        "SELECT port FROM host_ports WHERE free_after > now() + interval '9 minutes' ORDER BY port"
    )
    assert (row["status"], row["external_port"]) == ("running", FIRST_PORT + strangers)
    assert [row["port"] for row in aside] == list(range(FIRST_PORT, FIRST_PORT + strangers))
    assert worker.held_ports() == [FIRST_PORT + strangers]
    assert len(worker.engine.snapshot().containers) == 1


def test_five_ports_in_turn_are_tried_and_then_it_has_failed(worker: Worker) -> None:
    container_id = created(worker)
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        worker.docker.occupy_port(port)

    worker.work()

    row = worker.installation.row("containers", container_id)
    assert row["status_reason"] == "5 host ports in turn were taken by others"
    expect_failed_without_a_trace(worker, container_id)


def test_without_a_free_port_the_container_waits_and_keeps_its_own(worker: Worker) -> None:
    container_id = created(worker)
    worker.docker.occupy_port(FIRST_PORT)
    worker.installation.execute(
        f"UPDATE host_ports SET free_after = 'infinity' WHERE port <> {FIRST_PORT}"
    )

    worker.work()

    assert (worker.status(container_id), worker.held_ports()) == ("creating", [FIRST_PORT])
    assert isinstance(worker.setbacks[-1], EngineTransient)


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


def test_a_worker_that_was_overtaken_touches_neither_docker_nor_the_ledger(
    worker: Worker,
) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim = worker.claim()
    worker.installation.expire_leases()
    other.work()
    made = len(worker.engine.calls)

    with pytest.raises(LeaseLost):
        worker.carry_out(claim)

    assert worker.told(container_id) == ["created", "started"]
    assert len(worker.engine.calls) == made


@pytest.mark.parametrize("call", ["create", "start"])
def test_a_worker_that_is_overtaken_during_a_call_records_nothing_of_it(
    worker: Worker, call: str
) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim, held = worker.claim(), worker.engine.hold_next(call, after=True)

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(worker.carry_out, claim)
        assert held.reached.wait(30)
        worker.installation.expire_leases()
        other.work()
        held.let_go.set()

        with pytest.raises(LeaseLost):
            late.result(30)

    assert worker.told(container_id) == ["created", "started"]
    assert len(worker.engine.snapshot().containers) == 1


def test_a_verdict_that_comes_after_the_lease_was_lost_is_not_recorded(worker: Worker) -> None:
    container_id = created(worker)
    other = Worker(worker.installation, FakeContainerEngine(worker.docker))
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    worker.installation.expire_leases()
    other.claim()

    with pytest.raises(LeaseLost):
        worker.reconcile.conclude(claim, probe, worker.verdict(probe))

    assert worker.told(container_id) == []


def test_another_engine_that_answers_fails_nobodys_container(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    verdict = worker.verdict(probe)

    worker.engine.another_engine()
    worker.reconcile.conclude(claim, probe, verdict)

    assert (worker.status(container_id), worker.told(container_id)) == ("creating", [])
    assert worker.held_ports() == [FIRST_PORT]


def test_a_container_wished_deleted_while_it_comes_up_is_removed_without_a_word(
    worker: Worker,
) -> None:
    container_id = created(worker)
    worker.installation.wish(container_id, Desired.DELETED)

    worker.work()

    assert (worker.status(container_id), worker.told(container_id)) == ("deleted", [])
    assert worker.engine.snapshot().containers == {}
    assert worker.held_ports() == []


def test_a_container_wished_deleted_under_a_running_start_is_told_whole(worker: Worker) -> None:
    container_id = created(worker)
    claim = worker.claim()
    probe = worker.reconcile.act(claim)
    assert probe is not None
    worker.installation.wish(container_id, Desired.DELETED)

    worker.reconcile.conclude(claim, probe, worker.verdict(probe))
    worker.work()

    assert worker.told(container_id) == ["created", "started", "stopped", "deleted"]
    assert worker.engine.snapshot().containers == {}


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
