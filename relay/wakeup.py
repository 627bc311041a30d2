"""Wakes the leader when something was written: LISTEN on a connection of its own.

Notifications are a hint and never the truth: PostgreSQL forgets what was sent while the connection
was down, and a writer may die between its commit and its NOTIFY. So every wait is bounded, and a
new connection counts as a notification.
"""

import threading

import psycopg
import structlog

from relay.errors import describe
from relay.leadership import open_session
from relay.shutdown import Shutdown

CHANNEL = "orchestrator_outbox"

_LISTEN = f"LISTEN {CHANNEL}"
_SLICE_SECONDS = 0.5
_RECONNECT_SECONDS = 1.0


class WakeUp(threading.Thread):
    """A thread that listens, and the event it sets."""

    def __init__(self, database_url: str, shutdown: Shutdown) -> None:
        super().__init__(name="wakeup", daemon=True)
        self._database_url = database_url
        self._shutdown = shutdown
        self._woken = threading.Event()
        self._log = structlog.get_logger()
        self._lost = False

    def clear(self) -> None:
        """Forget earlier notifications; to be called before the fetch that will see their rows."""
        self._woken.clear()

    def wait(self, seconds: float) -> None:
        """Return at a notification, after ``seconds``, or when the process is to end."""
        self._woken.wait(seconds)

    def wake(self) -> None:
        self._woken.set()

    def run(self) -> None:
        while not self._shutdown.requested:
            try:
                self._listen()
            except psycopg.Error as exc:
                if not self._lost:
                    # Once: how long it lasts is what readiness tells.
                    self._log.warning("notifications lost", error=describe(exc))
                self._lost = True
                self._shutdown.wait(_RECONNECT_SECONDS)
            except Exception:  # noqa: BLE001 - logged, and told to nobody else
                # Without this thread each event would wait for the poll, and nobody would be told.
                self._log.exception("notifications lost")
                self._lost = True
                self._shutdown.wait(_RECONNECT_SECONDS)
        self.wake()

    def _listen(self) -> None:
        with open_session(self._database_url, "wakeup") as session:
            session.execute(_LISTEN)
            if self._lost:
                self._lost = False
                self._log.info("notifications are back")
            self.wake()
            while not self._shutdown.requested:
                for _ in session.notifies(timeout=_SLICE_SECONDS, stop_after=1):
                    self.wake()
