"""A wait for a port belongs to one lease, and ends whatever the prober does."""

import time
from collections.abc import Callable
from typing import cast

from adapters.docker.readiness_prober import SelectorReadinessProber
from application.bring_up_container import Probe, Verdict
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.port_waits import OVERDUE_SECONDS, PortWaits
from tests.unit.worker.leases import LONG, start_lease


class _Target:
    port = 20000


PROBE = cast(Probe, _Target())


class FakeProber:
    """Holds its probes by their key, as the real one does.

    Attributes:
        meanwhile: happens once while a name is resolved, before the probe is watched.
    """

    def __init__(self) -> None:
        self.probes: dict[int, Callable[[int, Verdict], None]] = {}
        self.meanwhile: Callable[[], object] | None = None

    def watch(
        self,
        key: int,
        address: tuple[str, int],
        deadline_monotonic: float,
        on_verdict: Callable[[int, Verdict], None],
    ) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        self.probes[key] = on_verdict

    def forget(self, key: int) -> None:
        self.probes.pop(key, None)

    def tell(self, key: int, verdict: Verdict) -> None:
        self.probes.pop(key)(key, verdict)


class Scene:
    def __init__(self, startup_timeout_seconds: float = LONG) -> None:
        self.jobs, self.prober = Jobs(), FakeProber()
        self.verdicts: list[tuple[Job, Verdict]] = []
        self.waits = PortWaits(
            self.jobs,
            cast(SelectorReadinessProber, self.prober),
            lambda job, _, verdict: self.verdicts.append((job, verdict)),
            host="127.0.0.1",
            startup_timeout_seconds=startup_timeout_seconds,
        )

    def take(self, epoch: int = 1) -> Job:
        job = Job(start_lease(epoch=epoch), time.monotonic() + LONG)
        self.jobs.add([job])
        return job


def test_a_verdict_takes_the_job_back_once() -> None:
    scene = Scene()
    job = scene.take()
    scene.waits.begin(job, PROBE)
    (key,) = scene.prober.probes

    scene.prober.tell(key, Verdict.READY)

    assert scene.verdicts == [(job, Verdict.READY)]
    assert not scene.waits.end(job)


def test_a_watch_that_comes_late_leaves_the_next_leases_probe_alone() -> None:
    scene = Scene()
    first, second = scene.take(epoch=1), scene.take(epoch=2)

    def given_back_and_claimed_again() -> None:
        scene.waits.end(first)
        scene.waits.begin(second, PROBE)

    scene.prober.meanwhile = given_back_and_claimed_again
    scene.waits.begin(first, PROBE)
    (key,) = scene.prober.probes
    scene.prober.tell(key, Verdict.READY)

    assert scene.verdicts == [(second, Verdict.READY)]


def test_a_late_verdict_of_an_earlier_probe_does_not_end_the_next_wait() -> None:
    scene = Scene()
    job = scene.take()
    scene.waits.begin(job, PROBE)
    ((key, on_verdict),) = scene.prober.probes.items()
    scene.waits.end(job)
    scene.waits.begin(job, PROBE)

    on_verdict(key, Verdict.TIMED_OUT)

    assert scene.verdicts == []
    assert job.probe is PROBE


def test_a_wait_without_a_verdict_is_told_as_timed_out_some_time_after_its_deadline() -> None:
    scene = Scene()
    job, patient = scene.take(epoch=1), scene.take(epoch=2)
    scene.waits.begin(job, PROBE)
    scene.waits.begin(patient, PROBE)
    job.deadline = time.monotonic() - OVERDUE_SECONDS - 1
    patient.deadline = time.monotonic() - OVERDUE_SECONDS / 2

    scene.waits.end_overdue()

    assert scene.verdicts == [(job, Verdict.TIMED_OUT)]
    assert len(scene.prober.probes) == 1


def test_going_on_with_a_wait_does_not_begin_its_time_anew() -> None:
    scene = Scene()
    job = scene.take()
    scene.waits.begin(job, PROBE)
    deadline = job.deadline
    scene.waits.end(job)

    scene.waits.begin(job, PROBE)

    assert job.deadline == deadline
