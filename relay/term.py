"""What a leader does from the moment it holds the lock: fetch, send, wait, delete, again.

Trouble with Kafka does not end the term: nothing is lost while it lasts, and a standby would meet
the same broker. The producer is discarded, and after a pause everything still pending is fetched
again. Trouble with the session ends the term, because the lock went with it.
"""

import logging
import math
import random
import time
from collections.abc import Sequence

import psycopg
import structlog

from relay.errors import BrokerTrouble
from relay.health import Status
from relay.leadership import Leadership
from relay.metrics import Metrics
from relay.ordering import StreamOrder, acknowledged_prefixes
from relay.outbox import PendingEvent, delete_acknowledged, fetch_pending
from relay.publisher import Failure, Publisher
from relay.settings import Settings
from relay.shutdown import Shutdown
from relay.topics import Topics
from relay.wakeup import WakeUp

# How soon a leader that waits for Kafka notices that its session is gone.
_CONFIRM_SECONDS = 1.0


class Backoff:
    """Growing pauses with jitter: 0.2 s doubling to ``ceiling`` seconds, until reset."""

    def __init__(self, ceiling: float = 5.0) -> None:
        self._ceiling = ceiling
        self._step = 0

    def next(self) -> float:
        pause = min(self._ceiling, math.ldexp(0.2, self._step))
        self._step = min(self._step + 1, 10)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

    def reset(self) -> None:
        self._step = 0


class Term:
    """One leader's work on one session; made anew for every term."""

    def __init__(
        self,
        session: psycopg.Connection,
        leadership: Leadership,
        settings: Settings,
        *,
        topics: Topics,
        wakeup: WakeUp,
        shutdown: Shutdown,
        status: Status,
        metrics: Metrics,
        client_log: logging.Logger,
    ) -> None:
        self._session = session
        self._leadership = leadership
        self._settings = settings
        self._topics = topics
        self._wakeup = wakeup
        self._shutdown = shutdown
        self._status = status
        self._metrics = metrics
        self._client_log = client_log
        self._log = structlog.get_logger()
        self._backoff = Backoff()
        self._order = StreamOrder()
        self._set_aside: set[str] = set()
        self._publisher: Publisher | None = None
        self._confirmed_at = time.monotonic()

    def serve(self) -> None:
        """Publish until the process is to end.

        Raises:
            LeadershipLost: Another session holds the lock.
            psycopg.Error: The session is lost.
        """
        self._status.publishing = "the topics are being checked"
        try:
            while not self._shutdown.requested:
                try:
                    self._topics.require(self._settings.topics)
                    self._publish_once()
                except BrokerTrouble as exc:
                    self._pause(exc)
        finally:
            self._discard_publisher()
            self._metrics.blocked_streams.set(0)

    def _publish_once(self) -> None:
        """Publish one batch, or wait for one to come."""
        # Before the fetch: a notification during it announces rows the fetch may have missed.
        self._wakeup.clear()
        fetched = fetch_pending(
            self._session, limit=self._settings.relay_batch_size, set_aside=self._set_aside
        )
        self._confirmed_at = fetched_at = time.monotonic()
        batch, offenders = self._order.vet(fetched)
        for event, reason in offenders:
            self._set_stream_aside(event, reason)
        if batch:
            self._deliver(batch, fetched_at)
        self._status.publishing = None
        if not fetched:
            if self._publisher is not None:
                self._publisher.serve()
            self._wakeup.wait(self._settings.relay_poll_seconds)

    def _deliver(self, batch: Sequence[PendingEvent], fetched_at: float) -> None:
        self._topics.require({event.topic for event in batch})
        if self._publisher is None:
            self._publisher = Publisher(self._settings.client_options(), self._client_log)
        delivery = self._publisher.publish(batch, self._keep_waiting)
        waited = time.monotonic() - fetched_at
        self._settle(acknowledged_prefixes(batch, delivery.acknowledged), waited)
        errors = [failure for failure in delivery.failures if not failure.refused]
        for failure in delivery.failures:
            self._metrics.delivery_errors.labels(failure.code).inc()
            if failure.refused:
                self._set_stream_aside(failure.event, f"{failure.code}: {failure.detail}")
        if errors:
            self._log_errors(errors)
            raise BrokerTrouble(errors[0].code, errors[0].detail)
        self._backoff.reset()

    def _settle(self, published: Sequence[PendingEvent], waited: float) -> None:
        """Delete what was acknowledged, and only then count it."""
        deleted = delete_acknowledged(self._session, [event.id for event in published])
        if deleted != len(published):
            self._log.warning("outbox rows were gone already", missing=len(published) - deleted)
        self._order.note_published(published)
        for event in published:
            self._metrics.published.labels(event.topic).inc()
            self._metrics.commit_to_ack.observe(event.age_seconds + waited)

    def _keep_waiting(self) -> bool:
        """Confirm the session once a second; say no when the process has to end."""
        if time.monotonic() - self._confirmed_at >= _CONFIRM_SECONDS:
            self._leadership.confirm()
            self._confirmed_at = time.monotonic()
        return self._shutdown.allows(self._settings.relay_flush_seconds)

    def _set_stream_aside(self, event: PendingEvent, reason: str) -> None:
        self._set_aside.add(event.stream)
        self._metrics.blocked_streams.set(len(self._set_aside))
        self._log.error(
            "stream set aside",
            stream=event.stream,
            sequence=event.sequence,
            event_id=event.event_id,
            reason=reason,
        )

    def _log_errors(self, errors: Sequence[Failure]) -> None:
        """One line for a batch: a broker in trouble fails hundreds of messages at once."""
        first = errors[0]
        self._log.error(
            "delivery failed",
            code=first.code,
            detail=first.detail,
            event_id=first.event.event_id,
            stream=first.event.stream,
            failed=len(errors),
        )

    def _pause(self, trouble: BrokerTrouble) -> None:
        """Discard the producer and wait a while; the next fetch confirms the session."""
        self._status.publishing = str(trouble)
        self._discard_publisher()
        self._topics.forget()
        pause = self._backoff.next()
        self._log.warning("publishing paused", error=str(trouble), seconds=round(pause, 2))
        self._shutdown.wait(pause)
        self._leadership.confirm()

    def _discard_publisher(self) -> None:
        if self._publisher is not None:
            self._publisher.discard()
            self._publisher = None
