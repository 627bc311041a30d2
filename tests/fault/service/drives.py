"""How a child does a worker's work: as the worker's own threads do it, one thing after the other.

What nobody foresaw ends nothing but the job, the turn or the pass that it happened in.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, cast

from adapters.failpoints.registry import FailpointRaised
from application.bring_up_container import Verdict
from application.declare_engine_lost import DeclareEngineLost
from application.errors import DatabaseUnavailable, EngineError, LeaseLost
from application.leases import Lease
from entrypoints.composition.worker import Worker
from entrypoints.worker.dispatcher import CONTAINER_WORKS, UNFORESEEN_RETRY_SECONDS
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.lease_keeper import LeaseKeeper
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.service.operations import Driven

T = TypeVar("T")

# Of passes and sweeps: nothing waits for the next one.
_INTERVAL_SECONDS = 3600.0

Drive = Callable[[Worker, FakeDocker], None]


def drive(driven: Driven, worker: Worker, docker: FakeDocker, request: Callable[[], None]) -> None:
    """Let a request be made, and do what follows from it, until nothing is due."""
    if driven is Driven.RUNNING_BUILD:
        _drive_running_build(worker, docker, request)
        return
    if driven is Driven.DELETED_BUILD:
        _drive_running_build(worker, docker, request)
        _drive_removals(worker, docker)
        return
    request()
    _DRIVES[driven](worker, docker)


def _drive_containers(worker: Worker, docker: FakeDocker) -> None:
    reconcile = worker.reconcile()
    for claim in _until_none(lambda: reconcile.claim(docker.engine_id, CONTAINER_WORKS, 10)):
        with _as_the_dispatcher(worker, claim.lease):
            probe = reconcile.act(claim)
            while probe is not None:
                ready = docker.answers(probe.port)
                verdict = Verdict.READY if ready else Verdict.TIMED_OUT
                probe = reconcile.conclude(claim, probe, verdict)


def _drive_builds(worker: Worker, docker: FakeDocker) -> None:
    builds, engine_id = worker.builds(), docker.engine_id
    for lease in _until_none(lambda: builds.claim(engine_id, 10)):
        with _as_the_dispatcher(worker, lease):
            builds.act(lease, engine_id)


def _drive_running_build(worker: Worker, docker: FakeDocker, request: Callable[[], None]) -> None:
    """Let the build run on the engine until the request was made and its lease renewed."""
    builds, engine_id = worker.builds(), docker.engine_id
    engine = cast(FakeContainerEngine, worker.docker())
    held, jobs = engine.hold_next("build"), Jobs()
    keeper = LeaseKeeper(
        jobs, worker.leases(), worker.engine(), lambda _: False, lease_seconds=10.0
    )

    def build() -> None:
        for lease in _until_none(lambda: builds.claim(engine_id, 10)):
            jobs.add([Job(lease, keeper.held_until(time.monotonic()))])
            with _as_the_dispatcher(worker, lease):
                builds.act(lease, engine_id)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(build)
        # It is not there to be interrupted if something else ended it before.
        while not (held.reached.wait(0.01) or running.done()):
            pass
        request()
        _again(keeper.renew)
        if not engine.builds_interrupted:
            held.let_go.set()
        running.result()


def _drive_instances(worker: Worker, docker: FakeDocker) -> None:
    keeper = worker.instances()
    _drive_containers(worker, docker)
    while _again(keeper._instances.due):
        _again(keeper.take_turn)
        _drive_containers(worker, docker)


def _drive_removals(worker: Worker, docker: FakeDocker) -> None:
    _drive_containers(worker, docker)
    removals = worker.removals()
    for lease in _until_none(lambda: removals.claim(docker.engine_id, 10)):
        with _as_the_dispatcher(worker, lease):
            removals.act(lease)


def _drive_passes(worker: Worker, docker: FakeDocker) -> None:
    with _given_up():
        worker.census().take_turn(docker.engine_id, _INTERVAL_SECONDS)
        worker.passes()._passes.run(docker.engine_id)
    _drive_containers(worker, docker)


def _drive_sweeps(worker: Worker, docker: FakeDocker) -> None:
    with _given_up():
        worker.sweep_register().take_turn(docker.engine_id, _INTERVAL_SECONDS)
        worker.sweep_leftovers().run(docker.engine_id)


def _drive_audits(worker: Worker, docker: FakeDocker) -> None:
    with _given_up():
        report = worker.audit().run(settle_seconds=0.0)
        # An answer that was lost is told as such, and is no difference.
        looked = report.engine_failure is not None or report.audited == docker.engine_id
        assert (report.differences, looked) == ([], True)


def _drive_looks_at_its_engine(worker: Worker, docker: FakeDocker) -> None:
    worker.monitor()._check()
    assert worker.monitor().engine_id == docker.engine_id


def _drive_looks_for_the_dead(worker: Worker, docker: FakeDocker) -> None:
    with worker.pool().connection() as connection:
        # Who came just now does not judge others.
        connection.execute("UPDATE workers SET joined_at = joined_at - interval '1 hour'")
    assert worker.presence()._present.beat()


def _drive_lost(worker: Worker, docker: FakeDocker) -> None:
    for engine in worker.quarantine().overview():
        if engine.held and engine.engine_id != docker.engine_id:
            for _ in worker.declare_lost().handle(DeclareEngineLost(engine.engine_id, "burnt")):
                pass


def _drive_trust(worker: Worker, docker: FakeDocker) -> None:
    worker.quarantine().trust(docker.engine_id)


def _drive_restored(worker: Worker, docker: FakeDocker) -> None:
    worker.restoration().raise_numbers(force=True)


def _drive_nothing(worker: Worker, docker: FakeDocker) -> None:
    pass


_DRIVES: Mapping[Driven, Drive] = {
    Driven.NOTHING: _drive_nothing,
    Driven.BUILDS: _drive_builds,
    Driven.CONTAINERS: _drive_containers,
    Driven.INSTANCES: _drive_instances,
    Driven.REMOVALS: _drive_removals,
    Driven.PASSES: _drive_passes,
    Driven.SWEEPS: _drive_sweeps,
    Driven.AUDITS: _drive_audits,
    Driven.REGISTERS: _drive_looks_at_its_engine,
    Driven.MISSES: _drive_looks_for_the_dead,
    Driven.LOST: _drive_lost,
    Driven.TRUST: _drive_trust,
    Driven.RESTORED: _drive_restored,
}


# ---- as a worker's threads go on -----------------------------------------------------------


@contextlib.contextmanager
def _as_the_dispatcher(worker: Worker, lease: Lease) -> Iterator[None]:
    """As `Dispatcher` carries out a job: its end, whatever it is, ends nothing else."""
    try:
        yield
    except (LeaseLost, DatabaseUnavailable):
        traceback.print_exc()
    except Exception:  # noqa: BLE001 - as there
        traceback.print_exc()
        with contextlib.suppress(LeaseLost, DatabaseUnavailable, FailpointRaised):
            worker.leases().hand_back(lease, UNFORESEEN_RETRY_SECONDS)


@contextlib.contextmanager
def _given_up() -> Iterator[None]:
    """As a pass, a sweep or an audit is given up; the next one begins anew."""
    try:
        yield
    except (EngineError, FailpointRaised):
        traceback.print_exc()


def _until_none(claim: Callable[[], Sequence[T]]) -> Iterator[T]:
    """Claim until nothing is due."""
    return itertools.chain.from_iterable(iter(partial(_again, claim), []))


def _again(step: Callable[[], T]) -> T:
    """Take a step of the dispatcher's loop; after what nobody foresaw in its next turn."""
    while True:
        try:
            return step()
        except FailpointRaised:
            traceback.print_exc()
