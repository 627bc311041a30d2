"""The life of a relay process: open a session, stand by, lead, and start over when it is lost."""

import logging
import threading
import time

import psycopg
import structlog

from relay.backoff import Backoff
from relay.errors import describe, require_tables
from relay.health import Role, Status
from relay.leadership import CANDIDATE, Leadership, open_session
from relay.metrics import Metrics
from relay.settings import Settings
from relay.shutdown import Shutdown
from relay.term import CHECKING, Term
from relay.topics import Topics
from relay.wakeup import WakeUp
from relay.watchers import BrokerWatcher, DatabaseWatcher

# A leader's end is noticed this soon; the promise is 5 s.
_STANDBY_POLL_SECONDS = 0.5
# A session that ended before this has mended nothing: the pause before the next one grows.
_LASTED_SECONDS = 5.0


class RelayProcess:
    """Everything that runs beside the health server."""

    def __init__(
        self,
        settings: Settings,
        *,
        shutdown: Shutdown,
        status: Status,
        metrics: Metrics,
        client_log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._shutdown = shutdown
        self._status = status
        self._metrics = metrics
        self._client_log = client_log
        self._log = structlog.get_logger()
        self._wakeup = WakeUp(settings.database_url, shutdown)
        self._watchers: dict[str, threading.Thread] = {
            "database": DatabaseWatcher(settings, shutdown, status, metrics),
            "broker": BrokerWatcher(settings, shutdown, status, client_log),
        }

    def run(self) -> None:
        """Serve until the shutdown is requested; no failure ends it before."""
        for thread in (self._wakeup, *self._watchers.values()):
            thread.start()
        backoff = Backoff()
        while not self._shutdown.requested:
            began = time.monotonic()
            why = None
            try:
                self._serve()
            except psycopg.Error as exc:
                why = describe(exc)
                self._log.warning("session lost", error=why, kind=type(exc).__name__)
            except Exception:  # noqa: BLE001 - see below; the traceback is logged
                # Whatever it is, the rows are still there: a fresh start beats a dead relay.
                self._log.exception("term failed")
            self._leave_office(why)
            if time.monotonic() - began >= _LASTED_SECONDS:
                backoff.reset()
            self._shutdown.wait(backoff.next())

    def stop(self) -> None:
        """Ask everything to end; ``run`` returns when what was in flight is settled."""
        self._shutdown.request()
        self._wakeup.wake()

    @property
    def unanswered(self) -> str:
        """What did not answer, when ``run`` has not returned in time after ``stop``.

        A watcher ends at once, unless it waits for what it watches.
        """
        hung = [name for name, watcher in self._watchers.items() if watcher.is_alive()]
        return " and ".join(hung) or "the session that leads or stands by"

    def _serve(self) -> None:
        with open_session(self._settings.database_url, CANDIDATE) as session:
            require_tables(session)
            if not self._stand_by(Leadership(session)):
                return
            # Before the role: a leader that has not looked for its topics yet is not ready.
            self._status.publishing = CHECKING
            self._status.role = Role.LEADER
            self._metrics.leader.set(1)
            self._metrics.takeovers.inc()
            self._log.info("leading")
            self._wakeup.wake()
            Term(
                session,
                self._settings,
                topics=Topics(self._settings, self._client_log),
                wakeup=self._wakeup,
                shutdown=self._shutdown,
                status=self._status,
                metrics=self._metrics,
                client_log=self._client_log,
            ).serve()

    def _stand_by(self, leadership: Leadership) -> bool:
        """Wait for the lock; return False when the process is to end first."""
        while not leadership.try_acquire():
            if self._status.role is not Role.STANDBY:
                self._status.role = Role.STANDBY
                self._status.publishing = None
                self._log.info("standing by")
            if self._shutdown.wait(_STANDBY_POLL_SECONDS):
                return False
        return not self._shutdown.requested

    def _leave_office(self, why: str | None) -> None:
        self._status.role = Role.STARTING
        # What ended the term may be what a watcher's session never meets, such as a missing grant.
        self._status.publishing = why
        self._metrics.leader.set(0)
        # Told by whoever leads; a sum over all relays would count them twice.
        self._metrics.blocked_streams.set(0)
        self._metrics.horizon.set(0)
