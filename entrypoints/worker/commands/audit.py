"""`audit`: hold ledger, state, engine and volume against each other; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from application.audit.run_audit import AuditReport
from entrypoints.worker.commands.errors import DifferencesFound, Failed
from entrypoints.worker.commands.installation import opened
from entrypoints.worker.commands.output import say

DEFAULT_SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Audit:
    """Looks until nothing is in flight and nothing differs, or the time to settle is over.

    Attributes:
        settle_seconds: how long that may take.
        allow_unaudited: whether an engine that holds something of ours may be another one than
            that at DOCKER_HOST; else nothing is said of what it holds, and that is no success.
    """

    settle_seconds: float = DEFAULT_SETTLE_SECONDS
    allow_unaudited: bool = False

    def run(self, environment: Mapping[str, str]) -> None:
        """Write a line for each difference, sorted, then what was looked at.

        Raises:
            DifferencesFound: there are some.
            Failed: database, engine or volume could not be read, or an engine was not looked at
                that had to be; that is no difference.
            Refused, InvalidSettings: a wrong setting.
            ReaderGone: nobody reads the outcome.
        """
        with opened(environment) as worker, ExitStack() as parts:
            scratch = worker.scratch()
            parts.callback(scratch.remove)
            try:
                report = worker.audit().run(self.settle_seconds)
            except OSError as exc:
                raise Failed(f"BUILD_CONTEXT_BASE_DIR: {exc.strerror or exc}") from exc
        self._tell(report)

    def _tell(self, report: AuditReport) -> None:
        for difference in report.differences:
            say(difference.line)
        for engine_id in report.not_audited:
            say(f"engine {engine_id} not audited: it is not the one at DOCKER_HOST")
        for engine in report.state.engines.values():
            if engine.quarantine_reason is not None:
                say(f"engine {engine.engine_id} in quarantine: {engine.quarantine_reason}")
        state = report.state
        say(
            f"audited containers={len(state.containers)} images={len(state.images)}"
            f" events={report.events} engine={report.audited or 'none'}"
            f" in_flight={report.in_flight} differences={len(report.differences)}"
        )
        if report.engine_failure is not None:
            raise Failed(f"DOCKER_HOST: {report.engine_failure}")
        if report.differences:
            raise DifferencesFound
        if report.not_audited and not self.allow_unaudited:
            raise Failed(
                "DOCKER_HOST: not every engine that holds something is there (--allow-unaudited)"
            )
