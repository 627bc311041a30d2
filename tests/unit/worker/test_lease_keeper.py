"""A lease that cannot be renewed ends what goes on under it, whoever waits for the database."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest

from application.bring_up_container import Probe
from application.errors import DatabaseUnavailable, LeaseLost
from application.leases import Lease, Renewal
from application.ports import ContainerEngine
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.lease_keeper import LeaseKeeper
from tests.unit.worker.leases import LONG, FakeLeases, build_lease, start_lease

LEASE_SECONDS = 1.0
PROBE = cast(Probe, object())


class NotingEngine:
    """Notes the builds that are to end."""

    def __init__(self) -> None:
        self.interrupted: list[int] = []
        self.first = threading.Event()

    def interrupt_build(self, build_id: int) -> None:
        self.interrupted.append(build_id)
        self.first.set()


class Scene:
    """A keeper with everything around it."""

    def __init__(self, lease_seconds: float = LEASE_SECONDS) -> None:
        self.jobs = Jobs()
        self.leases = FakeLeases()
        self.engine = NotingEngine()
        self.ended: list[Lease] = []
        self.wait_ended = threading.Event()
        self.keeper = LeaseKeeper(
            self.jobs,
            self.leases.port(),
            cast(ContainerEngine, self.engine),
            self._end_wait,
            lease_seconds=lease_seconds,
        )

    def take(self, lease: Lease, *, parked: bool = False) -> Job:
        job = Job(lease, self.keeper.held_until(time.monotonic()))
        self.leases.answer[lease] = Renewal(lease.generation, cancel_requested=False)
        self.jobs.add([job])
        if parked:
            self.jobs.park(job, PROBE)
        return job

    def _end_wait(self, job: Job) -> bool:
        if self.jobs.resume(job) is None:
            return False
        self.ended.append(job.lease)
        self.wait_ended.set()
        return True


@pytest.fixture
def make_scene() -> Iterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(**given: float) -> Scene:
        made.append(Scene(**given))
        return made[-1]

    yield make
    for scene in made:
        scene.keeper.close()
        scene.leases.silent.clear()


def test_a_build_is_interrupted_before_its_lease_is_over_while_the_database_is_silent(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    job = scene.take(build_lease(7))
    scene.leases.silent.set()

    with ThreadPoolExecutor(1) as dispatcher:
        renewing = dispatcher.submit(scene.keeper.renew)
        scene.keeper.start()
        interrupted = scene.engine.first.wait(10)
        at = time.monotonic()
        still_waiting = not renewing.done()
        scene.leases.silent.clear()
        renewing.result(10)

    assert interrupted
    assert still_waiting
    assert job.held_until - LEASE_SECONDS <= at
    assert set(scene.engine.interrupted) == {7}


def test_a_wait_for_a_port_ends_with_its_lease_and_asks_the_database_nothing(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    lease = start_lease(3)
    scene.take(lease, parked=True)

    scene.keeper.start()

    assert scene.wait_ended.wait(10)
    assert scene.leases.handed_back == []
    deadline = time.monotonic() + 10
    while scene.jobs.all():
        assert time.monotonic() < deadline


def test_what_the_engine_covers_is_left_alone_and_so_is_a_lease_that_was_renewed(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    scene.take(start_lease(1)).held_until = 0.0
    build = scene.take(build_lease(2))
    witness = scene.take(build_lease(3))
    build.held_until = time.monotonic() + LONG
    witness.held_until = 0.0

    scene.keeper.start()

    assert scene.engine.first.wait(10)
    assert set(scene.engine.interrupted) == {3}
    assert scene.ended == []
    assert len(scene.jobs.all()) == 3


def test_leases_are_renewed_after_a_third_but_waits_and_builds_at_every_call(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    fresh, old = scene.take(start_lease(1)), scene.take(start_lease(2))
    waiting = scene.take(start_lease(3), parked=True)
    build = scene.take(build_lease(4))
    old.held_until = time.monotonic() + LONG * 2 / 3

    scene.keeper.renew()

    assert set(scene.leases.renewed) == {old.lease, waiting.lease, build.lease}
    assert old.held_until > time.monotonic() + LONG * 0.9
    assert fresh.held_until <= old.held_until


def test_a_lease_whose_row_somebody_holds_is_not_taken_for_longer_and_asked_for_again(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    job = scene.take(start_lease())
    job.held_until = due = time.monotonic() + LONG / 2
    free = Renewal(job.lease.generation, cancel_requested=False)
    scene.leases.answer[job.lease] = replace(free, prolonged=False)

    scene.keeper.renew()
    held_until = job.held_until
    scene.leases.answer[job.lease] = free
    scene.keeper.renew()

    assert held_until == due
    assert scene.leases.renewed == [job.lease] * 2
    assert job.held_until > time.monotonic() + LONG * 0.9


def test_a_replaced_wish_whose_row_somebody_holds_waits_until_it_can_be_given_back(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    lease = start_lease()
    scene.take(lease, parked=True)
    free = Renewal(lease.generation + 1, cancel_requested=False)
    scene.leases.answer[lease] = replace(free, prolonged=False)

    scene.keeper.renew()
    held = list(scene.leases.handed_back)
    scene.leases.answer[lease] = free
    scene.keeper.renew()

    assert (held, scene.leases.handed_back) == ([], [lease])


def test_a_cancelled_build_whose_row_somebody_holds_is_interrupted_all_the_same(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    lease = build_lease(5)
    scene.take(lease)
    scene.leases.answer[lease] = Renewal(0, cancel_requested=True, prolonged=False)

    scene.keeper.renew()

    assert scene.engine.interrupted == [5]


def test_nothing_is_asked_while_nothing_is_due(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(lease_seconds=LONG)
    scene.take(start_lease())

    scene.keeper.renew()

    assert scene.leases.renewed == []


def test_a_replaced_wish_ends_the_wait_and_gives_the_lease_back(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    lease = start_lease()
    scene.take(lease, parked=True)
    scene.leases.answer[lease] = Renewal(lease.generation + 1, cancel_requested=False)

    scene.keeper.renew()

    assert (scene.ended, scene.leases.handed_back, scene.jobs.all()) == ([lease], [lease], [])


@pytest.mark.parametrize("lost", [True, False])
def test_a_build_that_was_lost_or_cancelled_is_interrupted(
    make_scene: Callable[..., Scene], *, lost: bool
) -> None:
    scene = make_scene(lease_seconds=LONG)
    lease = build_lease(5)
    scene.take(lease)
    scene.leases.answer = {} if lost else {lease: Renewal(0, cancel_requested=True)}

    scene.keeper.renew()

    assert scene.engine.interrupted == [5]


def test_a_wait_is_over_even_if_its_lease_cannot_be_given_back(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    job = scene.take(start_lease(), parked=True)
    scene.leases.trouble = RuntimeError("nobody foresaw this")

    scene.keeper.abandon(job)

    assert scene.jobs.all() == []


def test_a_lease_that_cannot_be_given_back_is_when_the_database_answers_and_then_forgotten(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene(lease_seconds=LONG)
    lease = start_lease()
    scene.leases.trouble = DatabaseUnavailable("away")
    scene.keeper.hand_back(lease, 5.0)
    with pytest.raises(DatabaseUnavailable):
        scene.keeper.renew()

    scene.leases.trouble = None
    scene.keeper.renew()
    scene.keeper.renew()

    assert scene.leases.handed_back == [lease] * 3
    assert scene.leases.pauses == [5.0] * 3


def test_a_lease_that_turns_out_to_be_over_is_forgotten(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(lease_seconds=LONG)
    lost, mine = start_lease(1), start_lease(2)
    scene.keeper.hand_back_later(lost)
    scene.leases.trouble = LeaseLost()
    scene.keeper.renew()
    scene.leases.trouble = None
    scene.keeper.hand_back_later(mine)

    scene.keeper.renew()

    assert scene.leases.handed_back == [lost, mine]


def test_a_wait_that_ended_with_its_lease_is_given_back_when_the_database_answers(
    make_scene: Callable[..., Scene],
) -> None:
    scene = make_scene()
    lease = start_lease(3)
    scene.take(lease, parked=True)
    scene.keeper.start()
    assert scene.wait_ended.wait(10)

    deadline = time.monotonic() + 10
    while not scene.leases.handed_back:
        assert time.monotonic() < deadline
        scene.keeper.renew()

    assert scene.leases.handed_back == [lease]
