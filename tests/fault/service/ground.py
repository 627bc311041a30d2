"""Where a process is let die: a database, a volume, an engine in memory, and who takes over."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from domain.container_status import Desired
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.contracts.subjects import wait_until
from tests.fault.service.agreement import differences, stray_files
from tests.fault.service.nursery import Child, Nursery
from tests.fault.service.operations import OPERATIONS, USER, End
from tests.fault.service.remote_docker import DockerServer
from tests.integration.postgres.installation import Installation
from tests.integration.worker.worker import Worker

# More turns than any recovery takes.
_TURNS = 12

# RECONCILE_INTERVAL_SECONDS: how late a pass may come.
PASS_SECONDS = 15.0

# When a row can be taken up again: its lease is over, and it is due.
_NEXT_DUE = """
SELECT extract(epoch FROM min(at) - now())::float AS seconds FROM (
    SELECT greatest(coalesce(lease_until, now()),
                    CASE WHEN generation > settled_generation OR nominated_at IS NOT NULL
                         THEN now() ELSE next_attempt_at END) AS at
    FROM containers
    WHERE next_attempt_at IS NOT NULL OR generation > settled_generation
       OR nominated_at IS NOT NULL
    UNION ALL
    SELECT greatest(coalesce(lease_until, now()), next_attempt_at) FROM builds
    WHERE next_attempt_at IS NOT NULL
    UNION ALL
    SELECT greatest(coalesce(lease_until, now()), next_attempt_at) FROM images
    WHERE next_attempt_at IS NOT NULL AND status = 'deleting'
) AS due
"""
_IDLE = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
_TABLES = ("containers", "builds", "images")

# One statement, so that rows which point at each other go together; far quicker than TRUNCATE.
_EMPTY = """
WITH o AS (DELETE FROM outbox), e AS (DELETE FROM events), h AS (DELETE FROM host_ports),
     c AS (DELETE FROM containers), b AS (DELETE FROM builds), i AS (DELETE FROM images)
DELETE FROM hostnames
"""


class Ground:
    """One operation's surroundings, new with each `prepare`."""

    def __init__(
        self,
        installation: Installation,
        volume: Path,
        server: DockerServer,
        nursery: Nursery,
        scratch: Path,
    ) -> None:
        self.installation = installation
        self._volume = volume
        self._server = server
        self._nursery = nursery
        self._trace = scratch / "reached"

    @property
    def docker(self) -> FakeDocker:
        return self._server.docker

    def prepare(self, operation: str) -> int:
        """Make everything anew and bring it to where the operation begins."""
        self.installation.execute(_EMPTY)
        for path in self._volume.iterdir():
            shutil.rmtree(path)
        self.installation.store.prepare()
        self._server.docker = FakeDocker()
        self._server.docker.app_of_builds = None
        return OPERATIONS[operation].prepare(self.worker())

    def worker(self) -> Worker:
        """Return a worker of this process, that nobody arms."""
        return Worker(self.installation, FakeContainerEngine(self.docker))

    def begin(self, operation: str, subject: int, failpoints: str) -> Child:
        """Let a process of its own carry the operation out."""
        settings = {
            "DATABASE_URL": self.installation.url,
            "BUILD_CONTEXT_BASE_DIR": str(self._volume),
            "ORCHESTRATOR_FAILPOINTS": failpoints,
        }
        return self._nursery.begin(
            {
                "operation": operation,
                "subject": subject,
                "settings": settings,
                "docker": [self._server.address, self._server.key],
            }
        )

    def places(self, operation: str) -> list[str]:
        """Return the places that the operation passes, in order, if nothing happens to it."""
        self._trace.write_text("")
        child = self.begin(operation, self.prepare(operation), f"trace={self._trace}")
        child.expect_ended()
        return self._trace.read_text().splitlines()

    def wish(self, desired: Desired) -> None:
        """Wish something of the one container."""
        (row,) = self.installation.rows("SELECT id FROM containers")
        self.installation.wish(row["id"], desired, USER)

    def wait_until_none_is_idle_in_a_transaction(self) -> None:
        """Wait until the database has given up the transactions of whoever is stopped."""
        wait_until(lambda: not self.installation.rows(_IDLE), seconds=30)

    def recover(self, *, stranger_seconds: float = 0.0) -> float:
        """Let another worker do what is to be done; returns how many seconds that takes.

        What has to be waited for, leases, backoff and a pass, is let pass on the database's clock.

        Args:
            stranger_seconds: how much time passes beside that between two passes.
        """
        worker, waited, began = self.worker(), 0.0, time.monotonic()
        if stranger_seconds:
            worker.pass_over()
            worker.seconds += stranger_seconds
        for _ in range(_TURNS):
            worker.work()
            seconds = self.installation.rows(_NEXT_DUE)[0]["seconds"]
            if seconds is None:
                # A pass finds nothing that is under way: it would come up on the way anyhow.
                if not worker.passes.run(worker.engine_id).drift.nominated:
                    return waited + time.monotonic() - began
                waited = max(waited, PASS_SECONDS)
                continue
            self._let_pass(max(seconds, 0.0) + 0.001)
            waited += max(seconds, 0.0)
        raise AssertionError(f"not settled after {_TURNS} turns and {waited:.0f} s")

    def expect_agreement(self, end: End) -> list[str]:
        """Hold everything against each other; returns what is left on the volume for a sweep."""
        report = self.worker().pass_over()
        drift = report.drift
        found = differences(self.installation, self.docker.snapshot())
        assert not found, found
        assert (drift.nominated, drift.strangers, drift.alarm) == ([], [], None)
        assert self._end() == end
        return stray_files(self.installation, self._volume)

    def _end(self) -> End:
        images = self.installation.rows("SELECT id, status FROM images")
        containers = self.installation.rows("SELECT id, status FROM containers")
        assert len(images) <= 1
        assert len(containers) <= 1
        return End(
            *(images[0]["status"], self._told("image", images[0]["id"])) if images else (None, ()),
            *(containers[0]["status"], self._told("container", containers[0]["id"]))
            if containers
            else (None, ()),
        )

    def _told(self, kind: str, id_: int) -> Sequence[str]:
        told = self.installation.told(f"{kind}/{id_}")
        return tuple(type_.removeprefix(f"{kind}.") for type_ in told)

    def _let_pass(self, seconds: float) -> None:
        for table in _TABLES:
            self.installation.execute(
                f"UPDATE {table} SET lease_until = lease_until - interval '{seconds} s', "
                f"next_attempt_at = next_attempt_at - interval '{seconds} s' "
                "WHERE lease_until IS NOT NULL OR next_attempt_at IS NOT NULL"
            )
