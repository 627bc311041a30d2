"""Jobs that wait for a port to answer: parked with the prober, they hold no thread.

Whoever takes a parked job back owns it from then on: the prober's verdict, a wish that replaced it,
the end of its lease or of the process. Its probe has a key of its own, for the same container may
be claimed again, by this very worker, while the first wait is still being wound up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from adapters.docker.readiness_prober import SelectorReadinessProber
from application.bring_up_container import Probe, Verdict
from entrypoints.worker.job import Job, Jobs

# A verdict that is so late will never come.
OVERDUE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class PortWaits:
    """Parks jobs and takes them back.

    Args:
        jobs: what is in hand.
        host: where published ports are connected to.
        startup_timeout_seconds: how long a port may take to answer.
        on_verdict: goes on with a job; called from the prober's thread, must be quick.
    """

    def __init__(
        self,
        jobs: Jobs,
        prober: SelectorReadinessProber,
        on_verdict: Callable[[Job, Probe, Verdict], None],
        *,
        host: str,
        startup_timeout_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._prober = prober
        self._on_verdict = on_verdict
        self._host = host
        self._startup_timeout = startup_timeout_seconds

    def begin(self, job: Job, probe: Probe) -> None:
        """Watch a port; the time it has is counted from the first watch of the job."""
        deadline = job.deadline or time.monotonic() + self._startup_timeout
        job.deadline = deadline
        key = self._jobs.park(job, probe)
        self._prober.watch(
            key,
            (self._host, probe.port),
            deadline,
            lambda _, verdict: self._answered(job, key, verdict),
        )
        if not self._jobs.is_parked(job, key):
            # Resolving the name took a while, and the job was taken back meanwhile.
            self._prober.forget(key)

    def end(self, job: Job) -> bool:
        """Take a job back without a verdict; False if it does not wait."""
        key = job.probe_key
        if self._jobs.resume(job, key) is None:
            return False
        self._prober.forget(key)
        return True

    def end_overdue(self) -> None:
        """Tell those as timed out whose verdict did not come: a wait must end whatever happens."""
        overdue = time.monotonic() - OVERDUE_SECONDS
        for job in self._jobs.all():
            if job.probe is not None and job.deadline is not None and job.deadline < overdue:
                log.error("no verdict came", id=job.lease.id)
                key = job.probe_key
                self._prober.forget(key)
                self._answered(job, key, Verdict.TIMED_OUT)

    def _answered(self, job: Job, key: int, verdict: Verdict) -> None:
        probe = self._jobs.resume(job, key)
        if probe is not None:
            self._on_verdict(job, probe, verdict)
