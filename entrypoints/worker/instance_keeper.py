"""Sees to min_instances, once a second, on a thread of its own.

It waits for whoever holds an image or a container: a frozen process may for seconds. Nobody who
renews leases or claims work may wait for that.
"""

from __future__ import annotations

import threading

import structlog
from prometheus_client import Counter

from application.errors import DatabaseUnavailable
from application.keep_instances import KeepInstances

# Between two turns; what is missing is missed no longer than this.
INTERVAL_SECONDS = 1.0

CREATED = Counter("worker_instances_created_total", "Containers that min_instances made")
STARTED = Counter("worker_instances_started_total", "Containers that min_instances started again")

log = structlog.get_logger(__name__)


class InstanceKeeper:
    """Takes turns; every worker does, and they find done what another has done."""

    def __init__(self, instances: KeepInstances) -> None:
        self._instances = instances
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instance-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Let the thread end; what it has just begun it may still do."""
        self._closing.set()

    def take_turn(self) -> None:
        """See to every image that is short.

        Raises:
            DatabaseUnavailable: what was not done is due in the next turn.
        """
        for image_id in self._instances.due():
            self._keep(image_id)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.take_turn()
            except DatabaseUnavailable as exc:
                log.warning("instances not kept", error=str(exc))
            except Exception:
                log.exception("instances not kept")
            self._closing.wait(INTERVAL_SECONDS)

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
