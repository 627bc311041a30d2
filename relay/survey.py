"""What the leader looks at a few times a second beside the outbox itself.

It runs on the leader's session in every state, also while Kafka is away: it is what keeps the
horizon moving, what notices an operator's release, and the sign of life that a standby reads.
"""

import time

import psycopg
import structlog

from relay.blocked import blocked_streams
from relay.frontier import Frontier, read_frontiers
from relay.metrics import Metrics

_INTERVAL_SECONDS = 0.25
_STORE_SECONDS = 1.0

_DURABLY = "SET LOCAL synchronous_commit = on"
# True whoever stores it: a proof does not end with the leadership of the one who made it.
_STORE_HORIZON = """
UPDATE ledger_horizon SET id = %(id)s, moved_at = clock_timestamp() WHERE id < %(id)s
"""


class Survey:
    """The leader's view of the tables; made anew for every term.

    Attributes:
        blocked: The streams that were blocked at the last look.
        decided: The outbox's frontier (``frontier.py``).
    """

    def __init__(self, session: psycopg.Connection, metrics: Metrics) -> None:
        self._session = session
        self._metrics = metrics
        self._log = structlog.get_logger()
        self._outbox = Frontier()
        self._events = Frontier()
        self._taken_at = float("-inf")
        self._stored_at = float("-inf")
        self._horizon = 0
        self.blocked: frozenset[str] = frozenset()

    @property
    def decided(self) -> int:
        return self._outbox.decided

    def take_if_due(self) -> None:
        """Look again if the last look is a quarter of a second old.

        Raises:
            psycopg.Error: The session is lost, and the leadership with it.
        """
        now = time.monotonic()
        if now - self._taken_at < _INTERVAL_SECONDS:
            return
        self._taken_at = now
        blocked = blocked_streams(self._session)
        for stream in sorted(self.blocked - blocked):
            self._log.info("stream released or its event skipped", stream=stream)
        self.blocked = blocked
        self._metrics.blocked_streams.set(len(self.blocked))
        outbox, events = read_frontiers(self._session)
        self._outbox.observe(outbox)
        self._events.observe(events)
        if now - self._stored_at >= _STORE_SECONDS and self._events.decided > self._horizon:
            self._horizon = self._events.decided
            with self._session.transaction():
                # A crash must not take back what a reader was told: its flush to disk covers the
                # sequence, and every event, that the horizon speaks of.
                self._session.execute(_DURABLY)
                self._session.execute(_STORE_HORIZON, {"id": self._horizon})
            self._metrics.horizon.set(self._horizon)
            self._stored_at = now

    def look_again(self) -> None:
        """Make the next look due."""
        self._taken_at = float("-inf")
