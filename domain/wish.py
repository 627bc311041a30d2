"""A wish: who asks that a container be running, stopped or deleted, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.events import Cause


@dataclass(frozen=True, slots=True)
class Wish:
    """What is told of a change as its reason.

    Attributes:
        cause: a request of a user, or our own care for min_instances.
        request_id: of the request, None where there was none.
        at: when it was asked.
    """

    cause: Cause
    request_id: str | None
    at: datetime
