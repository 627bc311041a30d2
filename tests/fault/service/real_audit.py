"""The product's audit of an installation on a real engine, as often as a test asks for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.docker.container_engine import DockerContainerEngine
from adapters.postgres.audit_records import PostgresRecords
from adapters.postgres.pool import create_pool
from adapters.volume.survey import VolumeSurvey
from application.audit.in_flight import in_flight
from application.audit.look import Graces
from application.audit.run_audit import RunAudit
from entrypoints.composition.storage import utc_now
from tests.fault.service.agreement import Agreement, agreement
from tests.fault.service.ends import Record


class RealAudit:
    """Looks at database, engine and volume of an installation. A context manager.

    Args:
        settings: of its processes.
        record: its database.
        engine: a way of our own to its engine.
    """

    def __init__(
        self, settings: Mapping[str, str], record: Record, engine: DockerContainerEngine
    ) -> None:
        self._pool = create_pool(settings["DATABASE_URL"], application_name="auditor", size=2)
        self._records = PostgresRecords(self._pool)
        self._record = record
        # What a crash leaves for a sweep is told at once, not when it has become old.
        self._audit = RunAudit(
            self._records,
            engine,
            VolumeSurvey(Path(settings["BUILD_CONTEXT_BASE_DIR"])),
            time.monotonic,
            time.sleep,
            utc_now,
            Graces(volume=0.0, engine=0.0),
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.close()

    def agreement(self) -> Agreement:
        return agreement(self._audit.run(settle_seconds=0.0), self._record)

    def is_at_rest(self) -> bool:
        """Whether nothing is recorded as being changed, or about to be: asks no engine."""
        with self._records.snapshot() as snapshot:
            return not list(in_flight(snapshot.state()))
