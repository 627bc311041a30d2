"""What a leader does from the moment it holds the lock: fetch, send, delete what was acknowledged.

The three overlap. While the client and the broker carry one batch, the database deletes the batch
before and reads the next; order is kept because of each stream only one event is under way
(`lanes.py`).

Trouble with Kafka does not end the term: nothing is lost while it lasts, and a standby would meet
the same broker. The producer is discarded, and after a pause everything still pending is fetched
again. Trouble with the session ends the term, because the lock went with it.
"""

import logging
from collections.abc import Collection
from functools import partial

import psycopg
import structlog

from relay.backoff import Backoff
from relay.errors import BrokerTrouble
from relay.health import Status
from relay.intake import Intake
from relay.kafka_client import Options
from relay.metrics import Metrics
from relay.pending_event import PendingEvent
from relay.publisher import ALONE, ONE_BY_ONE, Publisher
from relay.settings import Settings
from relay.shutdown import Shutdown
from relay.stall import Stall
from relay.suspects import Suspects
from relay.topics import Topics
from relay.wakeup import WakeUp

# How many batches may be sent and not deleted. One at a time is half as fast as the whole can be;
# more than four gained nothing, and would only be sent again after an error.
_BATCHES_IN_FLIGHT = 4
# Of a stream that waits for its own events only the foremost counts as in flight, or it would take
# the room of others; with what waits behind it no more than this many batches are in memory.
_MOST_BATCHES_HELD = 10
_SLICE_SECONDS = 0.2
# What a leader says of itself until it has found its topics.
CHECKING = "the topics are being checked"
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
        self._intake = Intake(session, settings.relay_batch_size, metrics)
        self._suspects = Suspects(self._intake, metrics, partial(self._new_publisher, ALONE))

    def serve(self) -> None:
        """Publish until the process is to end.

        Raises:
            psycopg.Error: The session is lost, and the lock with it.
        """
        self._status.publishing = CHECKING
        try:
            while not self._shutdown.requested:
                try:
                    self._missing(self._settings.topics)
                    self._publish()
                except BrokerTrouble as exc:
                    self._pause(exc)
            self._suspects.settle()
        finally:
            self._suspects.end()
            self._topics.close()

    def _publish(self) -> None:
        """Publish with one producer, until a delivery fails or the process is to end."""
        one_by_one = bool(self._suspects.together)
        publisher = self._new_publisher(ONE_BY_ONE if one_by_one else {})
        self._stall.start_over()
        try:
            self._look_around()
            self._intake.start_over(self._suspects.streams)
            while not self._is_over(publisher, one_by_one=one_by_one):
                self._round(publisher)
            publisher.await_rest(self._keep_waiting)
            self._intake.delete(self._acknowledged(publisher))
            # Before the rest is discarded, which would be reported like failures.
            breakdown = publisher.breakdown()
        finally:
            publisher.discard()
        in_trouble = breakdown is not None and breakdown.trouble is not None
        if one_by_one and not in_trouble:
            self._suspects.note_gone_through()
        if breakdown is not None:
            self._stall.note_refused(breakdown.suspects)
            self._suspects.judge(breakdown, one_by_one=one_by_one)

    def _is_over(self, publisher: Publisher, *, one_by_one: bool) -> bool:
        if self._shutdown.requested or publisher.in_trouble:
            return True
        if not one_by_one:
            return bool(publisher.failures)
        # A failure there befell no other message: all that failed together are gone through first.
        together = self._suspects.together
        if not together:
            return True
        if publisher.stands_still:
            # What waits behind a failure may be all that there is room for: it would wait for ever.
            return bool(publisher.failures) or self._intake.found_nothing
        # Behind that, some are not fetched yet; what is fetched and not held is answered, or gone.
        return self._intake.reached >= max(together) and not publisher.holds(together)

    def _round(self, publisher: Publisher) -> None:
        """Send what may go while the database works, and take what it has found."""
        # Before the fetch: a notification during it announces rows the fetch may have missed.
        self._wakeup.clear()
        trouble = self._suspects.go_on()
        self._look_around()
        # The database may have taken its time: what was reported meanwhile was not late.
        publisher.poll()
        acknowledged = self._acknowledged(publisher)
        stalled = self._stall.observe(publisher.first_in_flight, under_way=publisher.under_way)
        self._status.publishing = stalled or self._suspects.trouble
        if trouble is not None:
            publisher.give_up(trouble.code, trouble.detail, trouble.event)
        elif self._stall.is_hopeless():
            publisher.give_up("_TIMED_OUT", "what is in flight was not acknowledged for too long")
        if publisher.in_trouble:
            self._intake.delete(acknowledged)
            return
        if self._is_full():
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
            elif self._is_drained(publisher):
                trials = self._suspects.look_again_seconds
                self._wakeup.wait(min(trials, self._settings.relay_poll_seconds))

    def _acknowledged(self, publisher: Publisher) -> list[PendingEvent]:
        """Return what was acknowledged since the last call, for the caller to delete."""
        acknowledged = publisher.take_acknowledged()
        if acknowledged:
            self._stall.note_acknowledged(acknowledged, publisher.take_slowest())
            self._suspects.note_answered(acknowledged)
            self._backoff.reset()
        return acknowledged

    def _is_full(self) -> bool:
        batch = self._settings.relay_batch_size
        return (
            self._intake.spread >= _BATCHES_IN_FLIGHT * batch
            or self._intake.held >= _MOST_BATCHES_HELD * batch
        )

    def _new_publisher(self, options: Options) -> Publisher:
        return Publisher(
            {**self._settings.client_options(), **options},
            self._client_log,
            self._metrics.commit_to_ack.observe,
        )

    def _is_drained(self, publisher: Publisher) -> bool:
        return publisher.idle and self._intake.found_nothing and not self._intake.leaves_out

    def _missing(self, topics: Collection[str]) -> Collection[str]:
        """Return which topics cannot be sent to; not one of those that are configured.

        Raises:
            BrokerTrouble: That is so of one that is configured, or Kafka does not tell.
        """
        missing = set()
        for topic in sorted(topics):
            if self._shutdown.requested:
                # Sent or not: what is not acknowledged before the end is still pending.
                break
            self._look_around()
            if not self._topics.can_be_sent_to(topic):
                missing.add(topic)
        return missing

    def _look_around(self) -> None:
        self._intake.look_around()
        self._topics.look_after()

    def _keep_waiting(self) -> bool:
        """Show that this leader lives; say no when the process has to end."""
        self._look_around()
        return self._shutdown.allows(self._settings.relay_flush_seconds)

    def _pause(self, trouble: BrokerTrouble) -> None:
        """Wait a while, and go on looking around."""
        self._status.publishing = str(trouble)
        self._topics.forget()
        self._topics.note_refused(trouble)
        self._suspects.interrupt()
        left = self._backoff.next()
        self._log.warning("publishing paused", error=str(trouble), seconds=round(left, 2))
        while left > 0 and not self._shutdown.wait(min(left, 1.0)):
            self._look_around()
            left -= 1.0
