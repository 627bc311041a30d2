"""What a test can do to the fake engine beyond the port."""

from __future__ import annotations

import threading
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from application.engine_calls import BuildOrder, ContainerOrder
from application.errors import (
    BuildInterrupted,
    EngineError,
    EngineTransient,
    EngineUnreachable,
    OutcomeUnknown,
)
from tests.contracts.fake_docker import App, FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine

WAIT_SECONDS = 10.0


@pytest.fixture
def engine() -> FakeContainerEngine:
    return FakeContainerEngine()


def test_a_call_that_is_to_fail_does_nothing_and_the_next_one_succeeds(
    engine: FakeContainerEngine,
) -> None:
    order = _order(engine.docker)
    before = engine.snapshot()
    engine.fail_next("create", EngineTransient("no"))

    with pytest.raises(EngineTransient):
        engine.create(order)

    assert engine.snapshot() == before
    assert engine.create(order)


def test_a_call_that_is_to_fail_afterwards_has_been_carried_out(
    engine: FakeContainerEngine,
) -> None:
    order = _order(engine.docker)
    engine.fail_next("create", OutcomeUnknown("cut off"), after=True)

    with pytest.raises(OutcomeUnknown):
        engine.create(order)

    assert list(engine.snapshot().containers) == [order.name]


@pytest.mark.parametrize("after", [False, True])
def test_a_held_call_goes_on_when_it_is_let_go(engine: FakeContainerEngine, *, after: bool) -> None:
    order = _order(engine.docker)
    held = engine.hold_next("create", after=after)
    thread = threading.Thread(target=engine.create, args=[order])

    thread.start()
    assert held.reached.wait(WAIT_SECONDS)
    assert (order.name in engine.snapshot().containers) is after
    held.let_go.set()
    thread.join()

    assert order.name in engine.snapshot().containers


def test_a_held_build_can_be_interrupted(engine: FakeContainerEngine, tmp_path: Path) -> None:
    engine.docker.app_of_builds = App()
    held = engine.hold_next("build")
    errors: list[EngineError] = []

    def build() -> None:
        try:
            engine.build(BuildOrder(3, 1, "ada", tmp_path, tmp_path / "3.log", ("web:b3",), 60.0))
        except EngineError as error:
            errors.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    assert held.reached.wait(WAIT_SECONDS)
    engine.interrupt_build(3)
    thread.join()
    engine.interrupt_build(4)

    assert [type(error) for error in errors] == [BuildInterrupted]
    assert engine.builds_interrupted == {3}
    assert engine.snapshot().tags == {}


def test_what_one_worker_creates_another_one_sees_and_only_one_of_them_ends() -> None:
    docker = FakeDocker()
    one, other = FakeContainerEngine(docker), FakeContainerEngine(docker)

    docker_id = one.create(_order(docker))
    one.interrupt_all()

    assert other.inspect(docker_id) is not None


def test_another_engine_has_another_id_and_nothing_on_it(engine: FakeContainerEngine) -> None:
    earlier, docker_id = engine.engine_id(), engine.create(_order(engine.docker))

    engine.another_engine()

    assert engine.engine_id() != earlier
    assert engine.inspect(docker_id) is None


def test_an_engine_that_is_not_reachable_answers_nobody(engine: FakeContainerEngine) -> None:
    docker_id = engine.create(_order(engine.docker))
    engine.docker.reachable = False

    with pytest.raises(EngineUnreachable):
        engine.inspect(docker_id)

    engine.docker.reachable = True
    assert engine.inspect(docker_id) is not None


def test_a_prober_can_ask_which_ports_answer(engine: FakeContainerEngine) -> None:
    listening = _order(engine.docker, App(), port=25_001)
    silent = _order(engine.docker, App(listens=False), port=25_002)

    for order in (listening, silent):
        engine.start(engine.create(order))

    answers = [engine.docker.answers(port) for port in (25_001, 25_002, 25_003)]
    assert answers == [True, False, False]


def test_a_container_can_end_behind_the_services_back(engine: FakeContainerEngine) -> None:
    docker_id = engine.create(_order(engine.docker))
    engine.start(docker_id)

    engine.docker.end(docker_id, 137, oom_killed=True)

    seen = engine.inspect(docker_id)
    assert seen is not None
    assert (seen.running, seen.exit_code, seen.oom_killed) == (False, 137, True)


def test_a_container_restarted_by_somebody_else_is_another_run(
    engine: FakeContainerEngine,
) -> None:
    docker_id = engine.create(_order(engine.docker))
    engine.start(docker_id)
    earlier = engine.inspect(docker_id)

    engine.docker.restart(docker_id)

    later = engine.inspect(docker_id)
    assert earlier is not None
    assert later is not None
    assert later.running
    assert later.run_id != earlier.run_id


def test_every_call_is_noted_in_order(engine: FakeContainerEngine) -> None:
    order = _order(engine.docker)

    docker_id = engine.create(order)
    engine.start(docker_id)
    engine.inspect(order.name)

    assert engine.calls == [("create", order.name), ("start", docker_id), ("inspect", order.name)]


def test_a_snapshot_is_not_changed_by_what_follows(engine: FakeContainerEngine) -> None:
    docker_id = engine.create(_order(engine.docker))
    before = engine.snapshot()

    engine.start(docker_id)

    assert before != engine.snapshot()
    assert not any(seen.running for seen in before.containers.values())


def _order(docker: FakeDocker, app: App | None = None, *, port: int = 25_000) -> ContainerOrder:
    return ContainerOrder(
        uid=uuid.uuid4(),
        image_id=1,
        name=f"web-{port}",
        docker_image_id=docker.add_image(app or App()),
        env={},
        internal_port=8080,
        external_port=port,
        cpu_limit=Decimal("0.5"),
        memory_bytes=64 * 1024 * 1024,
    )
