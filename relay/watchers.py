"""Two threads that look at what the relay stands on, for readiness and for the gauges.

They have connections of their own, so that a leader that waits for Kafka, or a standby that only
waits, still tells the truth about both.
"""

import logging
import threading
import time

import psycopg
import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from relay.admin import Admin
from relay.errors import describe
from relay.health import Status
from relay.leadership import open_session
from relay.metrics import Metrics
from relay.settings import Settings
from relay.shutdown import Shutdown

_INTERVAL_SECONDS = 2.0

# Asked every time, and costs nothing: whether the database answers is no question of the backlog.
_ASK = "SELECT 1"

# Beyond this the figure is the planner's estimate, which vacuum and analyze keep within reach.
_COUNTED = 10_000
# Measuring may cost something with millions of dead rows: then it is done the more seldom, but the
# gauges never stand still for longer than this and the measurement itself.
_SHARE = 0.1
_MOST_PAUSE_SECONDS = 10.0
# The silence that `health.py` allows must be longer than this and an interval.
_MEASURE_SECONDS = 5.0
_LIMIT = f"SET statement_timeout = '{_MEASURE_SECONDS:g}s'"

# The first pending row stands for the oldest: ids follow the time of recording but for the length
# of a transaction, and sorting a large backlog by time would cost more than the figure is worth.
_BACKLOG = """
SELECT CASE
           WHEN counted.rows <= %(most)s THEN counted.rows
           ELSE greatest(
               counted.rows, (SELECT reltuples FROM pg_class WHERE oid = 'outbox'::regclass)
           )
       END,
       coalesce((
           SELECT greatest(0, extract(epoch FROM clock_timestamp() - events.recorded_at))
           FROM outbox JOIN events USING (event_id)
           ORDER BY outbox.id
           LIMIT 1
       ), 0)::float8
FROM (SELECT count(*) AS rows FROM (SELECT FROM outbox LIMIT %(most)s + 1) AS pending) AS counted
"""


def pause_after(took: float) -> float:
    """Return how long the next measurement of the backlog has to wait for its turn, in seconds.

    Args:
        took: What this one took. More than the server would have allowed was no cost of the query:
            the server hung, and what was measured before is old.
    """
    if took > _MEASURE_SECONDS + _INTERVAL_SECONDS:
        return 0.0
    return min(took / _SHARE, _MOST_PAUSE_SECONDS)


class DatabaseWatcher(threading.Thread):
    """Asks the database for a sign of life every few seconds, and measures the backlog."""

    def __init__(
        self, settings: Settings, shutdown: Shutdown, status: Status, metrics: Metrics
    ) -> None:
        super().__init__(name="database-watcher", daemon=True)
        self._settings = settings
        self._shutdown = shutdown
        self._status = status
        self._metrics = metrics
        self._log = structlog.get_logger()

    def run(self) -> None:
        while not self._shutdown.requested:
            try:
                with open_session(self._settings.database_url, "watcher") as session:
                    session.execute(_LIMIT)
                    self._watch(session)
            except psycopg.Error as exc:
                self._status.database.say(describe(exc))
                self._shutdown.wait(_INTERVAL_SECONDS)

    def _watch(self, session: psycopg.Connection) -> None:
        due_at = time.monotonic()
        while not self._shutdown.requested:
            session.execute(_ASK)
            asked_at = time.monotonic()
            if asked_at >= due_at:
                self._measure(session)
                took = time.monotonic() - asked_at
                due_at = time.monotonic() + pause_after(took)
            self._status.database.say(None)
            self._shutdown.wait(_INTERVAL_SECONDS)

    def _measure(self, session: psycopg.Connection) -> None:
        try:
            row = session.execute(_BACKLOG, {"most": _COUNTED}).fetchone()
        except psycopg.errors.QueryCanceled:
            # The gauges keep what they had; the database itself answers.
            self._log.warning("backlog not measured", seconds=_MEASURE_SECONDS)
            return
        if row is not None:
            self._metrics.pending.set(row[0])
            self._metrics.oldest_pending.set(row[1])


class BrokerWatcher(threading.Thread):
    """Asks the broker for the topic's metadata every few seconds."""

    def __init__(
        self, settings: Settings, shutdown: Shutdown, status: Status, log: logging.Logger
    ) -> None:
        super().__init__(name="broker-watcher", daemon=True)
        self._topic = settings.kafka_topic
        self._shutdown = shutdown
        self._status = status
        self._connection_errors: list[KafkaError] = []
        options = {**settings.client_options(), "error_cb": self._note}
        self._admin = Admin(lambda: AdminClient(options, logger=log))  # type: ignore[arg-type]  # the stub knows no callbacks

    def run(self) -> None:
        while not self._shutdown.requested:
            self._status.broker.say(self._ask())
            self._shutdown.wait(_INTERVAL_SECONDS)

    def _ask(self) -> str | None:
        """Return None, or why the broker did not answer."""
        self._connection_errors.clear()
        try:
            self._admin.fault_of(self._topic)
        except KafkaException as exc:
            # The error of the request is only "timed out"; that of the connection tells why.
            error: KafkaError = exc.args[0]
            return _describe(next(iter(self._connection_errors), error))
        return None

    def _note(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":
            self._connection_errors.append(error)


def _describe(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
