"""A worker without threads: the use cases over a real database and an engine in memory.

A test takes its steps one by one, or lets it carry out whatever is due; ports are not waited for,
the fake engine knows at once whether they answer.
"""

from collections.abc import Sequence

from adapters.postgres.census import PostgresCensus
from application.bring_up_container import BringUpContainer, Probe, Verdict
from application.errors import ApplicationError
from application.keep_instances import Kept
from application.leases import BuildQuota, Lease, Work
from application.pass_over_engine import PassOverEngine, PassReport
from application.reconcile_container import ContainerClaim, ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from application.take_down_container import TakeDownContainer
from domain.container_status import Desired
from tests.contracts.fake_docker import App, FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.postgres.installation import FIRST_PORT, Installation, utc_now

# More steps than anything here needs: a worker that is still busy then spins.
_STEPS = 30
GRACE_SECONDS = 60.0
_EVERY = tuple(Work)
# What is told of a container that came up.
RAN = ["created", "started"]


class Space:
    """The room on the volume; a test says when there is none."""

    def __init__(self) -> None:
        self.short: str | None = None

    def shortage(self) -> str | None:
        return self.short


class Worker:
    """One worker of an installation.

    Args:
        engine: its way to Docker; several workers may share a `FakeDocker`.
    """

    def __init__(self, installation: Installation, engine: FakeContainerEngine) -> None:
        self.installation = installation
        self.engine = engine
        self.engine_id = engine.docker.engine_id
        self.setbacks: list[ApplicationError] = []
        transactions = installation.transactions
        installation.registry.heartbeat(
            self.engine_id, "10.0.0.1", "fake", reachable=True, detail=None
        )
        installation.registry.set_port_range(
            self.engine_id, FIRST_PORT, FIRST_PORT + installation.ports - 1
        )
        self.reconcile = ReconcileContainer(
            transactions,
            engine,
            utc_now,
            BringUpContainer(stop_grace_seconds=10, startup_timeout_seconds=60),
            TakeDownContainer(stop_grace_seconds=10),
            self._note,
        )
        self.space = Space()
        self.builds = RunBuild(
            transactions,
            engine,
            installation.store,
            utc_now,
            self._note,
            BuildQuota(per_worker=10, per_user=10),
            self.space,
            installation.claim_volume.check_contents,
            timeout_seconds=900,
        )
        self.census = PostgresCensus(installation.pool, installation.signals.append)
        # Moved on by a test.
        self.seconds = 0.0
        self.passes = PassOverEngine(
            engine, self.census, lambda: self.seconds, grace_seconds=GRACE_SECONDS
        )
        self.removals = RemoveImage(
            transactions,
            engine,
            installation.store,
            utc_now,
            self._note,
            installation.claim_volume.check,
        )

    @property
    def docker(self) -> FakeDocker:
        return self.engine.docker

    def claim(self) -> ContainerClaim:
        """Claim the one container that is due."""
        (claim,) = self.reconcile.claim(self.engine_id, _EVERY, 10)
        return claim

    def claim_build(self) -> Lease:
        (lease,) = self.builds.claim(self.engine_id, 10)
        return lease

    def carry_out(self, claim: ContainerClaim) -> None:
        """Take the step of a claim, and judge its port by what the engine knows."""
        probe = self.reconcile.act(claim)
        while probe is not None:
            probe = self.reconcile.conclude(claim, probe, self.verdict(probe))

    def verdict(self, probe: Probe) -> Verdict:
        return Verdict.READY if self.docker.answers(probe.port) else Verdict.TIMED_OUT

    def work(self) -> int:
        """Carry out whatever is due, until nothing is; returns how many steps that took."""
        for steps in range(_STEPS):
            claims = self.reconcile.claim(self.engine_id, _EVERY, 1)
            builds = self.builds.claim(self.engine_id, 1)
            removals = self.removals.claim(self.engine_id, 1)
            if not (claims or builds or removals):
                return steps
            for claim in claims:
                self.carry_out(claim)
            for lease in builds:
                self.builds.act(lease, self.engine_id)
            for lease in removals:
                self.removals.act(lease)
        raise AssertionError("the worker spins")

    def come_due(self) -> None:
        """Let so much time pass that every backoff is over."""
        for table in ("containers", "builds", "images"):
            self.installation.execute(
                f"UPDATE {table} SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"
            )

    def observe(self, container_id: int) -> ContainerClaim:
        """Claim a container that nothing is wished of, as after a sign of the engine."""
        self.census.nominate([self.installation.row("containers", container_id)["uid"]])
        return self.claim()

    def pass_over(self) -> PassReport:
        """Hold the engine's list against the record, and carry out what follows."""
        report = self.passes.run(self.engine_id)
        self.work()
        return report

    def keep(self) -> list[Kept]:
        """See to min_instances, and carry out what follows."""
        kept = self.installation.keep_instances()
        self.work()
        return kept

    def ready_image(self, app: App | None = None, maximum: int = 3, minimum: int = 0) -> int:
        """Upload and build an image whose containers behave like `app`."""
        self.docker.app_of_builds = app or App()
        image_id = self.installation.upload(maximum=maximum, minimum=minimum)
        self.work()
        return image_id

    def run_container(self, app: App | None = None) -> int:
        (container_id,) = self.installation.create(self.ready_image(app))
        self.work()
        return container_id

    def wish(self, container_id: int, desired: Desired) -> None:
        """Let its user wish something of a container, and carry it out."""
        self.installation.wish(container_id, desired)
        self.work()

    def status(self, container_id: int) -> str:
        return str(self.installation.row("containers", container_id)["status"])

    def docker_id(self, container_id: int) -> str:
        return str(self.installation.row("containers", container_id)["docker_id"])

    def told(self, container_id: int) -> list[str]:
        return [
            type_.removeprefix("container.")
            for type_ in self.installation.told(f"container/{container_id}")
        ]

    def held_ports(self) -> Sequence[int]:
        rows = self.installation.rows(
            "SELECT port FROM host_ports WHERE container_id IS NOT NULL ORDER BY port"
        )
        return [row["port"] for row in rows]

    def _note(self, lease: Lease, error: ApplicationError) -> None:
        self.setbacks.append(error)
