"""One log line for each thing that engine or volume could not do, or that could not be read."""

from __future__ import annotations

import structlog

from application.errors import ApplicationError, UnreadableRow, VolumeUnavailable
from application.leases import Lease

log = structlog.get_logger(__name__)


def note_setback(lease: Lease, error: ApplicationError) -> None:
    """Log a setback; what follows from it is decided elsewhere."""
    log.warning(
        _event(error),
        kind=lease.kind,
        id=lease.id,
        work=lease.work,
        attempts=lease.attempts,
        error=type(error).__name__,
        detail=str(error),
    )


def _event(error: ApplicationError) -> str:
    match error:
        case UnreadableRow():
            return "row not readable"
        case VolumeUnavailable():
            return "volume not usable"
        case _:
            return "engine call failed"
