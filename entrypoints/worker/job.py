"""What the worker has in hand."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from application.bring_up_container import Probe
from application.leases import Lease, Leased, Work
from application.reconcile_container import ContainerClaim

_probe_keys = itertools.count(1)


@dataclass(slots=True, eq=False)
class Job:
    """One lease with what is being done under it.

    Attributes:
        held_until: monotonic time until which the lease surely lasts: counted from before the
            statement that granted or renewed it was sent.
        claim: the container, where it is one.
        probe: what the prober watches; while it is set the job holds no thread.
        probe_key: names the probe, and no other one of this process.
        running_out: whether its lease could not be renewed in time, and what is done is ended.
        deadline: monotonic time by which its port must have answered, once it is watched.
    """

    lease: Lease
    held_until: float
    claim: ContainerClaim | None = None
    probe: Probe | None = None
    probe_key: int = 0
    running_out: bool = False
    deadline: float | None = None

    @property
    def runs_uncovered(self) -> bool:
        """Whether what is done takes longer than the lease and has to be ended with it.

        Every other call of the engine is covered beforehand (`application.leased_engine`).
        """
        return self.lease.kind is Leased.BUILD or self.probe is not None


class Jobs:
    """The jobs in hand, shared by the dispatcher and its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Lease, Job] = {}

    def add(self, jobs: Iterable[Job]) -> None:
        with self._lock:
            self._jobs.update((job.lease, job) for job in jobs)

    def remove(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job.lease, None)

    def all(self) -> list[Job]:
        with self._lock:
            return list(self._jobs.values())

    def park(self, job: Job, probe: Probe) -> int:
        """Free the job's thread while the prober watches; returns the probe's key, never reused."""
        with self._lock:
            job.probe, job.probe_key = probe, next(_probe_keys)
            return job.probe_key

    def resume(self, job: Job, key: int | None = None) -> Probe | None:
        """Take a parked job back.

        Args:
            key: the probe that it has to be parked with; None for any.

        Returns:
            None if somebody else has taken it already, or it is parked with another probe.
        """
        with self._lock:
            if key is not None and key != job.probe_key:
                return None
            probe, job.probe = job.probe, None
            return probe

    def is_parked(self, job: Job, key: int) -> bool:
        """Whether the job waits for this very probe."""
        with self._lock:
            return job.probe is not None and job.probe_key == key

    def on_threads(self, work: Work) -> int:
        """How many jobs of a kind hold, or wait for, a thread."""
        with self._lock:
            return sum(job.lease.work is work and job.probe is None for job in self._jobs.values())
