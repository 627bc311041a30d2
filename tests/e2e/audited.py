"""An operator's audit of a running service, where a test says that all agrees by now."""

from __future__ import annotations

from contextlib import ExitStack

from entrypoints.worker.commands.installation import opened
from tests.e2e.running_service import RunningService

_SETTLE_SECONDS = 30.0


def expect_agreement(service: RunningService) -> None:
    """Hold ledger, state, engine and volume of a service against each other."""
    with opened(service.settings) as worker, ExitStack() as parts:
        scratch = worker.scratch()
        parts.callback(scratch.remove)
        report = worker.audit().run(_SETTLE_SECONDS)
    assert report.audited is not None, report.engine_failure
    assert [each.line for each in report.differences] == []
