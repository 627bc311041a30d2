"""Where a process is let die: a database, a volume, an engine in memory, and who takes over."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.container_status import Desired
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.contracts.subjects import wait_until
from tests.fault.lengths import LONG
from tests.fault.service.aftermath import Aftermath
from tests.fault.service.ends import End
from tests.fault.service.nursery import Child, Nursery
from tests.fault.service.preparations import USER
from tests.fault.service.remote_docker import DockerServer
from tests.fault.service.turns import Turn, turns_of
from tests.fault.service.upkeep import ALL_OPERATIONS, GIVEN_AGAIN
from tests.integration.postgres.installation import Installation
from tests.integration.worker.worker import Worker

_IDLE = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
# One statement, so that rows which point at each other go together; far quicker than TRUNCATE.
_EMPTY = """
WITH o AS (DELETE FROM outbox), e AS (DELETE FROM events), h AS (DELETE FROM host_ports),
     c AS (DELETE FROM containers), b AS (DELETE FROM builds), i AS (DELETE FROM images),
     r AS (DELETE FROM restorations)
DELETE FROM hostnames
"""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """An operation that nothing happened to.

    Attributes:
        places: what it passed, in order.
        seconds: how long there was something to be done afterwards.
    """

    places: Sequence[str]
    seconds: float


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
        self._undisturbed: dict[str, Undisturbed] = {}
        self._aftermath = Aftermath(installation)
        self._child: Child | None = None
        self._operation = ""

    def close(self) -> None:
        self._aftermath.close()

    @property
    def docker(self) -> FakeDocker:
        return self._server.docker

    def prepare(self, operation: str) -> int:
        """Make everything anew and bring it to where the operation begins."""
        self._operation = operation
        self.installation.execute(_EMPTY)
        shutil.rmtree(self._volume)
        self.installation.prepare_volume()
        self._server.docker = FakeDocker()
        self._server.docker.app_of_builds = None
        return ALL_OPERATIONS[operation].prepare(self.worker())

    def worker(self) -> Worker:
        """Return a worker of this process, that nobody arms."""
        return Worker(self.installation, FakeContainerEngine(self.docker))

    def begin(self, operation: str, subject: int, failpoints: str) -> Child:
        """Let a process of its own carry the operation out."""
        settings = {
            "DATABASE_URL": self.installation.url,
            "BUILD_CONTEXT_BASE_DIR": str(self._volume),
            "ORCHESTRATOR_FAILPOINTS": failpoints,
            "STRANGER_GRACE_SECONDS": "0",
        }
        self._child = self._nursery.begin(
            {
                "operation": operation,
                "subject": subject,
                "settings": settings,
                "docker": [self._server.address, self._server.key],
            }
        )
        return self._child

    def undisturbed(self, operation: str) -> Undisturbed:
        """Carry an operation out, the first time that this is asked for; it has to end well."""
        if operation not in self._undisturbed:
            self._trace.write_text("")
            child = self.begin(operation, self.prepare(operation), f"trace={self._trace}")
            child.expect_ended()
            places = self._trace.read_text().splitlines()
            self._undisturbed[operation] = Undisturbed(places, self.recover())
            self.expect_agreement(ALL_OPERATIONS[operation].done)
        return self._undisturbed[operation]

    def turns(self, operation: str, *, every: bool = LONG) -> Sequence[Turn]:
        """Return the turns that something may happen at to the operation.

        Args:
            every: whether at every turn of it also if it is composed.
        """
        every = every or not ALL_OPERATIONS[operation].composed
        return turns_of(self.undisturbed(operation).places, every=every)

    def let_happen(self, operation: str, turn: Turn, action: str) -> Child:
        """Let a process of its own carry the operation out, and something happen to it."""
        return self.begin(operation, self.prepare(operation), turn.armed(action))

    def wish(self, desired: Desired) -> None:
        """Wish something of the one container."""
        (row,) = self.installation.rows("SELECT id FROM containers")
        self.installation.wish(row["id"], desired, USER)

    def wait_until_none_is_idle_in_a_transaction(self) -> None:
        """Wait until the database has given up the transactions of whoever is stopped."""
        wait_until(lambda: not self.installation.rows(_IDLE), seconds=30)

    def recover(self) -> float:
        """Let another worker do what is to be done; returns how many seconds that takes.

        A command of an operator's is given again beforehand.
        """
        if give_again := GIVEN_AGAIN.get(self._operation):
            give_again(self.worker())
        stopped = self._child is not None and self._child.is_stopped
        return self._aftermath.recover(self.worker(), int(stopped))

    def expect_agreement(self, end: End) -> Sequence[str]:
        """Hold everything against each other; returns what was left for a sweep."""
        return self._aftermath.expect_agreement(self.worker(), end)
