"""What a leader does from the moment it holds the lock: fetch, send, delete what was acknowledged.

The three overlap. While the client and the broker carry one batch, the database deletes the batch
before and reads the next; order is kept because of each stream only one event is under way
(`lanes.py`).

Trouble with Kafka does not end the term: nothing is lost while it lasts, and a standby would meet
the same broker. The producer is discarded, and after a pause everything still pending is fetched
again. Trouble with the session ends the term, because the lock went with it.
"""

import logging
import time
from collections.abc import Collection
from functools import partial

import psycopg
import structlog

from relay.backoff import Backoff
from relay.breakdown import Breakdown
from relay.errors import BrokerTrouble
from relay.health import Status
from relay.intake import Intake
from relay.kafka_client import Options
from relay.metrics import Metrics
from relay.ordering import Offence
from relay.pending_event import PendingEvent
from relay.publisher import ALONE, ONE_BY_ONE, Publisher
from relay.settings import Settings
from relay.shutdown import Shutdown
from relay.stall import Stall
from relay.topics import Topics
from relay.trial import tried_alone
from relay.wakeup import WakeUp

# How many batches may be sent and not deleted. One at a time is half as fast as the whole can be;
# more than four gained nothing, and would only be sent again after an error.
_BATCHES_IN_FLIGHT = 4
_SLICE_SECONDS = 0.2
# How long suspects are tried while all others wait, and how long others are published before the
# next suspects, if there is anything of them: a fresh producer needs half a second to begin.
_TRIAL_SECONDS = 1.0
_BETWEEN_TRIALS_SECONDS = 2.0
# How long the backlog of a few streams is sent on before the database is asked for others.
_HURRY_SECONDS = 0.05


class Term:
    """One leader's work on one session; made anew for every term."""

    def __init__(
        self,
        session: psycopg.Connection,
        settings: Settings,
        *,
        topics: Topics,
        wakeup: WakeUp,
        shutdown: Shutdown,
        status: Status,
        metrics: Metrics,
        client_log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._wakeup = wakeup
        self._shutdown = shutdown
        self._status = status
        self._metrics = metrics
        self._client_log = client_log
        self._log = structlog.get_logger()
        self._backoff = Backoff()
        self._stall = Stall()
        # Up to this id messages travel one by one: some of them failed, and may be to blame.
        self._suspects_up_to = 0
        # To be tried alone, each the first of its stream; these streams are left alone until then.
        self._suspects: list[PendingEvent] = []
        self._intake = Intake(session, settings.relay_batch_size, metrics)

    def serve(self) -> None:
        """Publish until the process is to end.

        Raises:
            psycopg.Error: The session is lost, and the lock with it.
        """
        self._status.publishing = "the topics are being checked"
        while not self._shutdown.requested:
            try:
                self._missing(self._settings.topics)
                self._publish()
                self._try_suspects()
            except BrokerTrouble as exc:
                self._pause(exc)

    def _publish(self) -> None:
        """Publish with one producer, until a delivery fails or the process is to end."""
        one_by_one = self._suspects_up_to > 0
        publisher = self._new_publisher(ONE_BY_ONE if one_by_one else {})
        ends_at = time.monotonic() + _BETWEEN_TRIALS_SECONDS
        up_to_later = 0
        try:
            self._intake.look_around()
            self._intake.start_over(event.stream for event in self._suspects)
            while not self._is_over(publisher, one_by_one=one_by_one):
                if self._suspects and self._is_drained(publisher):
                    break
                if self._suspects and time.monotonic() >= ends_at:
                    up_to_later = self._suspects_up_to
                    break
                self._round(publisher)
            publisher.await_rest(self._keep_waiting)
            self._intake.delete(publisher.take_acknowledged())
            # Before the rest is discarded, which would be reported like failures.
            breakdown = publisher.breakdown()
        finally:
            publisher.discard()
        if one_by_one and (breakdown is None or breakdown.trouble is None):
            self._suspects_up_to = up_to_later
        if breakdown is not None:
            self._judge(breakdown, one_by_one=one_by_one)

    def _is_over(self, publisher: Publisher, *, one_by_one: bool) -> bool:
        if self._shutdown.requested or publisher.in_trouble:
            return True
        if not one_by_one:
            return bool(publisher.failures)
        # A failure there befell no other message: all that failed together are gone through first.
        oldest = publisher.oldest_id
        if oldest is None:
            # What waits behind a failure may be all that there is room for: it would wait for ever.
            return bool(publisher.failures) or self._intake.found_nothing
        return oldest > self._suspects_up_to

    def _round(self, publisher: Publisher) -> None:
        """Send what may go while the database works, and take what it has found."""
        # Before the fetch: a notification during it announces rows the fetch may have missed.
        self._wakeup.clear()
        self._intake.look_around()
        acknowledged = publisher.take_acknowledged()
        self._status.publishing = self._stall.observe(
            under_way=publisher.under_way, acknowledged=len(acknowledged)
        )
        if acknowledged:
            self._backoff.reset()
        if self._intake.spread >= _BATCHES_IN_FLIGHT * self._settings.relay_batch_size:
            publisher.send()
            self._intake.delete(acknowledged)
            # Returns at the first report; a flush would send what is still being collected.
            publisher.poll(_SLICE_SECONDS)
            return
        self._intake.request(acknowledged)
        publisher.send(meanwhile=self._intake.receive)
        publisher.poll()
        try:
            fetched = self._intake.result(self._missing)
        except BrokerTrouble as exc:
            # What is in flight is settled first, or it would be sent again each time.
            publisher.give_up(exc.code, exc.detail)
            return
        publisher.take(fetched)
        if publisher.unsent and not fetched:
            publisher.poll(_SLICE_SECONDS)
        elif not fetched:
            # Nothing comes that could be sent with what is still being collected.
            if publisher.under_way:
                publisher.hurry(_HURRY_SECONDS)
            elif self._is_drained(publisher) and not self._suspects:
                self._wakeup.wait(self._settings.relay_poll_seconds)

    def _judge(self, breakdown: Breakdown, *, one_by_one: bool) -> None:
        """Find out whether messages or Kafka are to blame; block the streams of guilty ones.

        Raises:
            BrokerTrouble: Kafka is.
        """
        for code, number in breakdown.codes.items():
            self._metrics.delivery_errors.labels(code).inc(number)
        # One line for a batch: a broker in trouble fails hundreds of messages at once.
        self._log.error("delivery failed", **breakdown.told)
        if breakdown.trouble is not None:
            raise breakdown.trouble
        if not one_by_one:
            self._suspects_up_to = max(event.id for event in breakdown.suspects)
            return
        self._suspects += breakdown.suspects

    def _try_suspects(self) -> None:
        """Try suspects for a while; no other stream waits longer for them.

        Raises:
            BrokerTrouble: Kafka is to blame.
        """
        ends_at = time.monotonic() + _TRIAL_SECONDS
        new_publisher = partial(self._new_publisher, ALONE)
        for event, guilt in tried_alone(tuple(self._suspects), new_publisher, self._keep_waiting):
            self._suspects.remove(event)
            if guilt is None:
                self._intake.delete([event])
            else:
                self._metrics.delivery_errors.labels(guilt.code).inc()
                self._intake.block(Offence(event, guilt.code, guilt.detail))
            if time.monotonic() >= ends_at:
                break

    def _new_publisher(self, options: Options) -> Publisher:
        return Publisher(
            {**self._settings.client_options(), **options},
            self._client_log,
            self._metrics.commit_to_ack.observe,
        )

    def _is_drained(self, publisher: Publisher) -> bool:
        return publisher.idle and self._intake.found_nothing and not self._intake.leaves_out

    def _missing(self, topics: Collection[str]) -> Collection[str]:
        """Return which topics do not exist; not one of those that are configured.

        Raises:
            BrokerTrouble: One that is configured is missing, or Kafka does not tell.
        """
        missing = set()
        for topic in sorted(topics):
            if self._shutdown.requested:
                # Sent or not: what is not acknowledged before the end is still pending.
                break
            self._intake.look_around()
            if not self._topics.exists(topic):
                missing.add(topic)
        return missing

    def _keep_waiting(self) -> bool:
        """Show that this leader lives; say no when the process has to end."""
        self._intake.look_around()
        return self._shutdown.allows(self._settings.relay_flush_seconds)

    def _pause(self, trouble: BrokerTrouble) -> None:
        """Wait a while, and go on looking around."""
        self._status.publishing = str(trouble)
        self._topics.forget()
        left = self._backoff.next()
        self._log.warning("publishing paused", error=str(trouble), seconds=round(left, 2))
        while left > 0 and not self._shutdown.wait(min(left, 1.0)):
            self._intake.look_around()
            left -= 1.0
