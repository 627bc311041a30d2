"""One log line for each thing the engine could not do."""

from __future__ import annotations

import structlog

from application.errors import EngineError
from application.leases import Lease

log = structlog.get_logger(__name__)


def note_setback(lease: Lease, error: EngineError) -> None:
    """Log a setback; what follows from it is decided elsewhere."""
    log.warning(
        "engine call failed",
        kind=lease.kind,
        id=lease.id,
        work=lease.work,
        attempts=lease.attempts,
        error=type(error).__name__,
        detail=str(error),
    )
