"""Keeps the leases of the jobs in hand, and ends what would go on without one.

Renewing and ending are done by different threads on purpose. The dispatcher renews, and so it is
the one that waits when the database does not answer; meanwhile the leases run out, and another
worker may take over. So a watchdog that never speaks to the database ends builds, and waits for a
port, before their leases are over. Every other call of the engine ends in time by itself: its lease
was made to last longer beforehand.

So it may last for minutes after its job is over. A lease that could not be given up because the
database was away is remembered, and given up as soon as that answers again: nobody, this worker
included, could take the row up before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from application.errors import DatabaseUnavailable, LeaseLost
from application.keep_leases import KeepLeases
from application.leases import Lease, Leased
from application.ports import ContainerEngine
from entrypoints.worker.job import Job, Jobs

# Of a lease. Renewed after a third, a lease survives a renewal that fails once. What is ended a
# fifth before its end is over by then: BuildKit cancels within 0.1 s of the signal.
_RENEWED_AFTER = 1 / 3
_ENDED_BEFORE = 1 / 5

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews leases, hands them back, and watches over those that cannot be renewed.

    Args:
        jobs: what is in hand.
        end_wait: ends the wait for a port without speaking to the database.
        lease_seconds: how long a lease lasts from its claim or renewal.
    """

    def __init__(
        self,
        jobs: Jobs,
        leases: KeepLeases,
        engine: ContainerEngine,
        end_wait: Callable[[Job], bool],
        *,
        lease_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._leases = leases
        self._engine = engine
        self._end_wait = end_wait
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        # Leases of jobs that are over, with what gives each of them up.
        self._owed: dict[Lease, Callable[[], None]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lease-watchdog", daemon=True)

    @property
    def renewal_seconds(self) -> float:
        """How old a lease may become before it is renewed."""
        return self._lease_seconds * _RENEWED_AFTER

    def start(self) -> None:
        """Start the watchdog."""
        self._thread.start()

    def close(self) -> None:
        """End the watchdog; what is in hand is not watched over any more."""
        self._closing.set()

    def held_until(self, asked_at: float) -> float:
        """Return how long a lease lasts at least that was asked for at a monotonic time."""
        return asked_at + self._lease_seconds

    def renew(self) -> None:
        """Renew what is due, and learn of replaced wishes and cancelled builds.

        A wish that replaces a wait for a port, and the cancelling of a build, have to be seen at
        once: those leases are renewed at every call, the others after a third of their time, and
        again at the next call if somebody held the row. What could not be given up before is given
        up.

        Raises:
            DatabaseUnavailable: nothing was learnt; the watchdog does what has to be done.
        """
        self._renew_jobs()
        self._give_up_what_is_owed()

    def abandon(self, job: Job) -> None:
        """Give a container back as it is if it waits for a port; any other job is left alone."""
        if not self._end_wait(job):
            return
        try:
            self.hand_back(job.lease)
        finally:
            self._jobs.remove(job)

    def hand_back(self, lease: Lease, retry_in_seconds: float = 0.0) -> None:
        """Give a lease up, later if the database does not answer; never raises."""
        give_up = partial(self._leases.hand_back, lease, retry_in_seconds)
        try:
            self._give_up(lease, give_up)
        except DatabaseUnavailable as exc:
            log.info("lease not given up yet", kind=lease.kind, id=lease.id, error=str(exc))
            self.hand_back_later(lease, give_up)

    def hand_back_later(self, lease: Lease, give_up: Callable[[], None] | None = None) -> None:
        """Give a lease up as soon as the database answers; its job is not in hand any more.

        If the outcome was recorded after all and only the word of it was lost, the lease has ended.

        Args:
            give_up: gives it up, and whatever belongs to that; may raise LeaseLost.
        """
        with self._lock:
            self._owed[lease] = give_up or partial(self._leases.hand_back, lease)

    def _renew_jobs(self) -> None:
        asked_at = time.monotonic()
        jobs = [job for job in self._jobs.all() if job.runs_uncovered or self._due(job, asked_at)]
        if not jobs:
            return
        renewals = self._leases.renew([job.lease for job in jobs])
        for job in jobs:
            renewal, lease = renewals.get(job.lease), job.lease
            if renewal is not None and renewal.prolonged:
                job.held_until = self.held_until(asked_at)
                job.running_out = False
            # Whose row somebody holds is given back at a later call: nobody is waited for here.
            if renewal is None or (renewal.prolonged and renewal.generation > lease.generation):
                self.abandon(job)
            if lease.kind is Leased.BUILD and (renewal is None or renewal.cancel_requested):
                self._engine.interrupt_build(lease.id)

    def _give_up_what_is_owed(self) -> None:
        with self._lock:
            owed = list(self._owed.items())
        for lease, give_up in owed:
            self._give_up(lease, give_up)
            with self._lock:
                del self._owed[lease]

    def _give_up(self, lease: Lease, give_up: Callable[[], None]) -> None:
        """Give a lease up; only DatabaseUnavailable is raised, the rest is left to run out."""
        try:
            give_up()
        except LeaseLost as exc:
            log.info("lease was over", kind=lease.kind, id=lease.id, error=str(exc))
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("lease left to run out", kind=lease.kind, id=lease.id)

    def _due(self, job: Job, now: float) -> bool:
        return job.held_until - now <= self._lease_seconds - self.renewal_seconds

    # ---- the watchdog ----------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._closing.wait(min(0.25, self._lease_seconds / 20)):
            try:
                self._end_what_runs_out()
            except Exception:
                log.exception("watchdog failed")

    def _end_what_runs_out(self) -> None:
        latest = time.monotonic() + self._lease_seconds * _ENDED_BEFORE
        for job in self._jobs.all():
            if job.held_until > latest or not job.runs_uncovered:
                continue
            lease = job.lease
            if lease.kind is Leased.BUILD:
                # Again each time: the build itself may begin only after the first.
                self._engine.interrupt_build(lease.id)
            elif self._end_wait(job):
                self._jobs.remove(job)
                self.hand_back_later(lease)
            if not job.running_out:
                job.running_out = True
                log.warning("lease not renewed", kind=lease.kind, id=lease.id, epoch=lease.epoch)
