"""Sees to min_instances in the worker's loop, about once a second however often that turns."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter

from application.errors import DatabaseUnavailable
from application.keep_instances import KeepInstances

# Between two turns; what is missing after a wake-up is missed no longer than this.
INTERVAL_SECONDS = 1.0

CREATED = Counter("worker_instances_created_total", "Containers that min_instances made")
STARTED = Counter("worker_instances_started_total", "Containers that min_instances started again")

log = structlog.get_logger(__name__)


class InstanceKeeper:
    """Takes turns; every worker does, and they find done what another has done.

    Args:
        monotonic: a clock that is never set, in seconds.
    """

    def __init__(self, instances: KeepInstances, monotonic: Callable[[], float]) -> None:
        self._instances = instances
        self._monotonic = monotonic
        self._next_at = monotonic()

    def take_turn(self) -> None:
        """See to every image that is short, unless that was done within the last second.

        Raises:
            DatabaseUnavailable: what was not done is due in the next turn.
        """
        now = self._monotonic()
        if now < self._next_at:
            return
        self._next_at = now + INTERVAL_SECONDS
        for image_id in self._instances.due():
            self._keep(image_id)

    def _keep(self, image_id: int) -> None:
        try:
            kept = self._instances.keep(image_id)
        except DatabaseUnavailable:
            raise
        except Exception:
            # One image that nobody foresaw must not keep the others waiting.
            log.exception("instances not kept", image_id=image_id)
            return
        CREATED.inc(len(kept.created))
        STARTED.inc(len(kept.started))
        if kept.created or kept.started or kept.cleared:
            log.info(
                "instances kept",
                image_id=image_id,
                created=kept.created,
                started=kept.started,
                cleared=kept.cleared,
            )
