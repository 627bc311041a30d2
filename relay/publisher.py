"""One Kafka producer and what it has under way: sends in order, tells what was acknowledged.

A publisher lives from one delivery error to the next. What was acknowledged is deleted by the
caller, who discards the publisher with everything it still holds, and fetches again. What became of
each message, the client tells (``kafka_client.py``); in which order they go, the lanes
(``lanes.py``).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

from relay.breakdown import Breakdown, Failure
from relay.failpoints import Failpoint, reach
from relay.kafka_client import KafkaClient, Options
from relay.lanes import Lanes
from relay.pending_event import PendingEvent

# After a first error the rest may still be acknowledged: each that is need not be sent twice.
_AFTER_ERROR_SECONDS = 1.0
# A partition whose broker hangs is silent for ever: no message times out, and all others wait.
_SILENT_SECONDS = 5.0
# The answer to a fetch of 2,000 is megabytes, of which a socket holds about 200 kB; 64 events are
# handed over in the time that the server needs to fill it again.
_MEANWHILE_EVENTS = 64

# Each message travels in a request of its own: an error is the message's own.
ONE_BY_ONE: Options = {"batch.num.messages": 1}
# For a producer that is used for one message: an idempotent one begins with a wait of half a second
# for its id, and guards nothing here but against a repetition. Nothing comes to be sent with it.
ALONE: Options = {"enable.idempotence": False, "linger.ms": 0}


class Publisher:
    """A producer, and the events given to it that are neither settled nor given up."""

    def __init__(
        self,
        options: Options,
        log: logging.Logger,
        note_delays: Callable[[Sequence[float]], object],
    ) -> None:
        """Create the client; it connects in the background.

        Args:
            options: Of librdkafka.
            note_delays: Told, some at a time, how many seconds after its record each event was
                acknowledged. Never negative, though the database's clock may be set back.

        Raises:
            KafkaException: An option is unknown or malformed.
        """
        self._client = KafkaClient(options, log)
        self._note_delays = note_delays
        self._lanes = Lanes()
        self._ready: deque[PendingEvent] = deque()
        # Acknowledged too, and what waited for them is ready.
        self._followed: list[PendingEvent] = []

    @property
    def failures(self) -> Sequence[Failure]:
        """What was not delivered and why, in the order of the reports."""
        return self._client.failures

    @property
    def under_way(self) -> int:
        """How many events were given to it and are neither acknowledged nor failed."""
        return len(self._ready) + len(self._client.in_flight) + self._lanes.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing was acknowledged that the caller has not."""
        return not (self.under_way or self._client.has_acknowledged or self._followed)

    @property
    def unsent(self) -> int:
        """How many events the client had no room for."""
        return len(self._ready)

    @property
    def stands_still(self) -> bool:
        """Whether nothing is sent or could be, whatever waits for one before it."""
        return not (self._ready or self._client.in_flight)

    @property
    def first_in_flight(self) -> tuple[int, float] | None:
        """What the client has had for longest: its id, and when it was handed over; or None."""
        return next(iter(self._client.in_flight.items()), None)

    @property
    def in_trouble(self) -> bool:
        """Whether anything failed that no message is to blame for."""
        return any(not failure.suspect for failure in self.failures)

    def holds(self, ids: Collection[int]) -> bool:
        """Return whether any of these is sent and not answered, or could be sent."""
        in_flight = self._client.in_flight
        return any(id_ in in_flight for id_ in ids) or any(e.id in ids for e in self._ready)

    def take(self, events: Sequence[PendingEvent]) -> None:
        """Take events to be sent; `send` does it.

        Args:
            events: In id order.
        """
        self._ready.extend(self._lanes.enter(events))

    def send(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Hand over what may go, until the client has no more room.

        Args:
            meanwhile: Called every few events.
        """
        half = len(self._ready) // 2
        position = 0
        while self._ready:
            if position == half:
                reach(Failpoint.MID_PRODUCE)
            if meanwhile is not None and position % _MEANWHILE_EVENTS == 0:
                meanwhile()
            if not self._client.hand_over(self._ready[0]):
                return
            self._ready.popleft()
            position += 1

    def poll(self, seconds: float = 0.0) -> None:
        """Let the client log and report; wait up to ``seconds`` for a first report."""
        self._client.poll(seconds)

    def flush(self) -> None:
        """Send at once what lingers for more, and wait a moment for every report."""
        self._client.flush()

    def hurry(self, seconds: float) -> None:
        """Like ``flush``, and for a while send on what waited for an event before it.

        Args:
            seconds: How long; it may end a moment later.
        """
        ends_at = time.monotonic() + seconds
        self.flush()
        while self._lanes.waiting and not self.failures and time.monotonic() < ends_at:
            self._let_follow()
            if not self._ready:
                return
            self.send()
            self.flush()

    def await_rest(self, keep_waiting: Callable[[], bool]) -> None:
        """Wait for the reports still to come: one second after an error, else while any come.

        Args:
            keep_waiting: Asked several times a second; may raise.
        """
        failed_at: float | None = None
        left, reported_at = len(self._client.in_flight), time.monotonic()
        while self._client.in_flight:
            self.flush()
            if not keep_waiting():
                return
            now = time.monotonic()
            if len(self._client.in_flight) < left:
                left, reported_at = len(self._client.in_flight), now
            if self.failures:
                failed_at = failed_at or now
                if now - failed_at >= _AFTER_ERROR_SECONDS:
                    return
            elif now - reported_at >= _SILENT_SECONDS:
                return

    def take_acknowledged(self) -> list[PendingEvent]:
        """Return what was acknowledged since the last call, for the caller to delete.

        What waited for them may be sent now.
        """
        self._let_follow()
        followed, self._followed = self._followed, []
        return followed

    def take_slowest(self) -> float:
        """Return the most seconds from hand-over to acknowledgement since the last call."""
        return self._client.take_slowest()

    def give_up(self, code: str, detail: str, event: PendingEvent | None = None) -> None:
        """Send nothing any more, because of trouble that lies elsewhere.

        Args:
            event: What met it, on another client; None where it was no message.
        """
        self._client.give_up(code, detail, event)

    def breakdown(self) -> Breakdown | None:
        """Return what failed until now; None if nothing did."""
        return Breakdown(tuple(self.failures)) if self.failures else None

    def discard(self) -> None:
        """Drop what is queued and in flight; a request already sent cannot be called back."""
        self._client.discard()

    def _let_follow(self) -> None:
        acknowledged, delays = self._client.take_acknowledged()
        self._ready.extend(self._lanes.leave(acknowledged))
        self._followed += acknowledged
        self._note_delays(delays)
