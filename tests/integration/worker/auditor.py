"""Audits of an installation whose engine is in memory; time passes only as a test lets it."""

from collections.abc import Callable
from datetime import timedelta

from adapters.postgres.audit_records import PostgresRecords
from adapters.volume.survey import VolumeSurvey
from application.audit.look import Graces
from application.audit.run_audit import AuditReport, RunAudit
from tests.contracts.fake_engine import FakeContainerEngine
from tests.integration.worker.worker import Worker

GRACE_SECONDS = 3600.0


class Auditor:
    """Audits what a worker works on.

    Args:
        engine: how the audit sees Docker; None for the worker's own way.
        grace_seconds: how old something must be to be called left over.

    Attributes:
        meanwhile: what happens whenever an audit waits.
        later: how long after the engine's start it is asked for its images.
    """

    def __init__(
        self,
        worker: Worker,
        engine: FakeContainerEngine | None = None,
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.later = timedelta(seconds=GRACE_SECONDS - 1)
        self._seconds = 0.0
        installation = worker.installation
        self._audit = RunAudit(
            PostgresRecords(installation.pool),
            engine or worker.engine,
            VolumeSurvey(installation.store.path("")),
            lambda: self._seconds,
            self._pause,
            lambda: worker.docker.started_at + self.later,
            Graces(volume=grace_seconds, engine=grace_seconds),
        )

    def run(self, settle_seconds: float = 0.0) -> AuditReport:
        return self._audit.run(settle_seconds)

    def found(self, settle_seconds: float = 0.0) -> list[str]:
        """Return the kind and the subject of each difference."""
        return [
            f"{each.kind} {each.about}/{each.which}"
            for each in self.run(settle_seconds).differences
        ]

    def _pause(self, seconds: float) -> None:
        self._seconds += seconds
        self.meanwhile()
