"""Claims what is due and sees it through: threads for Docker, the prober for ports.

    claim, act on a thread, done
    claim, act on a thread, parked while the prober watches its port, conclude on a thread, done

Leases are renewed while their jobs last (`LeaseKeeper`). A lease that was lost ends what is done
under it; a wish that was replaced ends the wait for a port; a cancelled build is interrupted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from adapters.docker.readiness_prober import SelectorReadinessProber
from application.bring_up_container import Probe, Verdict
from application.errors import AttemptUnrecorded, DatabaseUnavailable, LeaseLost
from application.keep_leases import KeepLeases
from application.leases import Lease, Leased, Work
from application.ports import ContainerEngine
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from entrypoints.worker.engine_monitor import EngineMonitor
from entrypoints.worker.job import Job, Jobs
from entrypoints.worker.lease_keeper import LeaseKeeper
from entrypoints.worker.port_waits import PortWaits

# Wake-ups can be lost; this is how late a wish is taken up then.
POLL_SECONDS = 1.0
# After an error nobody foresaw: the row is left alone for a while, not spun on.
UNFORESEEN_RETRY_SECONDS = 5.0
# SIGTERM ends a process within 5 s; what has not ended by then is left to its lease.
DRAIN_SECONDS = 3.5

CONTAINER_WORKS = (Work.START, Work.STOP, Work.DELETE, Work.OBSERVE)
WORKS = (*CONTAINER_WORKS, Work.BUILD, Work.REMOVE_IMAGE)

log = structlog.get_logger(__name__)


class Dispatcher:
    """The worker's one loop.

    Args:
        limits: how many jobs of each kind may hold a thread.
        probe_host: where published ports are connected to.
        startup_timeout_seconds: how long a port may take to answer.
        lease_seconds: how long a lease lasts from its claim or renewal.
    """

    def __init__(
        self,
        reconcile: ReconcileContainer,
        builds: RunBuild,
        removals: RemoveImage,
        leases: KeepLeases,
        engine: ContainerEngine,
        monitor: EngineMonitor,
        prober: SelectorReadinessProber,
        limits: Mapping[Work, int],
        *,
        probe_host: str,
        startup_timeout_seconds: float,
        lease_seconds: float,
    ) -> None:
        self._reconcile = reconcile
        self._builds = builds
        self._removals = removals
        self._engine = engine
        self._monitor = monitor
        self._limits = limits
        self._jobs = Jobs()
        self._waits = PortWaits(
            self._jobs,
            prober,
            self._conclude,
            host=probe_host,
            startup_timeout_seconds=startup_timeout_seconds,
        )
        self._keeper = LeaseKeeper(
            self._jobs, leases, engine, self._waits.end, lease_seconds=lease_seconds
        )
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pools = {
            work: ThreadPoolExecutor(limit, thread_name_prefix=work)
            for work, limit in limits.items()
        }

    def wake(self) -> None:
        """Look for work at once."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` end: interrupt what runs, hand back what is held."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Claim and carry out until stopped."""
        self._keeper.start()
        while not self._stopping.is_set():
            self._wake.wait(timeout=min(POLL_SECONDS, self._keeper.renewal_seconds))
            self._wake.clear()
            try:
                well = self._take_turn()
            except DatabaseUnavailable as exc:
                log.warning("database unavailable", error=str(exc))
                well = False
            if not well:
                self._stopping.wait(POLL_SECONDS)
        self._drain()

    def _take_turn(self) -> bool:
        """Do all that a turn consists of, whatever becomes of its parts; returns if all went well.

        Raises:
            DatabaseUnavailable: the rest would not go better.
        """
        claiming = [partial(self._claim, work) for work in WORKS]
        parts: list[Callable[[], None]] = [self._waits.end_overdue, self._keeper.renew, *claiming]
        well = True
        for part in parts:
            try:
                part()
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("part of a turn failed")
                well = False
        return well

    # ---- claiming --------------------------------------------------------------------------

    def _claim(self, work: Work) -> None:
        engine_id, free = self._monitor.engine_id, self._free(work)
        if engine_id is None or not free or self._stopping.is_set():
            return
        held_until = self._keeper.held_until(time.monotonic())
        if work in CONTAINER_WORKS:
            claims = self._reconcile.claim(engine_id, (work,), free)
            jobs = [Job(claim.lease, held_until, claim) for claim in claims]
        else:
            use_case = self._builds if work is Work.BUILD else self._removals
            jobs = [Job(lease, held_until) for lease in use_case.claim(engine_id, free)]
        self._submit(jobs, self._act)

    def _free(self, work: Work) -> int:
        return max(self._limits[work] - self._jobs.on_threads(work), 0)

    def _submit(self, jobs: list[Job], step: Callable[[Job], Probe | None]) -> None:
        self._jobs.add(jobs)
        for job in jobs:
            self._pools[job.lease.work].submit(self._carry_out, job, step)

    # ---- on a thread -----------------------------------------------------------------------

    def _carry_out(self, job: Job, step: Callable[[Job], Probe | None]) -> None:
        """Take one step of a job; whatever happens, the job is parked or over afterwards."""
        lease = job.lease
        parked = False
        unrecorded: DatabaseUnavailable | None = None
        try:
            if self._stopping.is_set():
                self._keeper.hand_back(lease)
            elif probe := step(job):
                self._waits.begin(job, probe)
                parked = True
        except LeaseLost:
            log.warning("lease lost", kind=lease.kind, id=lease.id, epoch=lease.epoch)
        except DatabaseUnavailable as exc:
            log.warning("outcome not recorded", kind=lease.kind, id=lease.id, error=str(exc))
            unrecorded = exc
        except Exception:
            log.exception("step failed", kind=lease.kind, id=lease.id, work=lease.work)
            self._keeper.hand_back(lease, UNFORESEEN_RETRY_SECONDS)
        finally:
            # A job that stayed here for ever would have its lease renewed for ever.
            if not parked:
                self._jobs.remove(job)
            if unrecorded:
                # Not before: a build would be interrupted that is claimed again meanwhile.
                self._keeper.hand_back_later(lease, self._handing_back(lease, unrecorded))
            self._wake.set()
        if parked and self._stopping.is_set():
            self._keeper.abandon(job)

    def _handing_back(
        self, lease: Lease, unrecorded: DatabaseUnavailable
    ) -> Callable[[], None] | None:
        """Return what gives a lease up whose outcome the database did not take; None: as any."""
        if isinstance(unrecorded, AttemptUnrecorded):
            return partial(self._builds.hand_back, lease)
        return None

    def _act(self, job: Job) -> Probe | None:
        if job.claim is not None:
            return self._reconcile.act(job.claim)
        if job.lease.kind is Leased.BUILD:
            engine_id = self._monitor.engine_id
            if engine_id is None:
                self._keeper.hand_back(job.lease, POLL_SECONDS)
            else:
                self._builds.act(job.lease, engine_id)
        else:
            self._removals.act(job.lease)
        return None

    def _conclude(self, job: Job, probe: Probe, verdict: Verdict) -> None:
        """Go on with a job whose port was judged, on a thread of its own kind."""
        claim = job.claim
        assert claim is not None  # noqa: S101 - only containers wait for a port
        try:
            self._submit([job], lambda _: self._reconcile.conclude(claim, probe, verdict))
        except RuntimeError:
            # The pool takes no more: this worker ends.
            self._keeper.hand_back(job.lease)
            self._jobs.remove(job)

    # ---- the end ---------------------------------------------------------------------------

    def _drain(self) -> None:
        """Interrupt Docker calls and hand leases back without counting an attempt."""
        self._engine.interrupt_all()
        for job in self._jobs.all():
            self._keeper.abandon(job)
        deadline = time.monotonic() + DRAIN_SECONDS
        for pool in self._pools.values():
            pool.shutdown(wait=False)
        while self._jobs.all() and time.monotonic() < deadline:
            self._wake.wait(timeout=0.1)
            self._wake.clear()
        self._keeper.close()
        left = self._jobs.all()
        log.info("worker drained", left_to_their_leases=len(left))
