"""One log line for each thing the engine could not do, or that could not be read."""

from __future__ import annotations

import structlog

from application.errors import EngineError, UnreadableRow
from application.leases import Lease

log = structlog.get_logger(__name__)


def note_setback(lease: Lease, error: EngineError | UnreadableRow) -> None:
    """Log a setback; what follows from it is decided elsewhere."""
    unreadable = isinstance(error, UnreadableRow)
    log.warning(
        "row not readable" if unreadable else "engine call failed",
        kind=lease.kind,
        id=lease.id,
        work=lease.work,
        attempts=lease.attempts,
        error=type(error).__name__,
        detail=str(error),
    )
