"""One Kafka producer and what it has under way: sends in order, tells what was acknowledged.

A publisher lives from one delivery error to the next. What was acknowledged is deleted by the
caller, who discards the publisher with everything it still holds, and fetches again.

Which message a report is for: the client hands back no headers and no opaque, and values may
repeat, so one shared method is bound to each event.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay.breakdown import Breakdown, Failure
from relay.failpoints import Failpoint, reach
from relay.lanes import Lanes
from relay.logs import ClientLog
from relay.pending_event import PendingEvent

# How often the caller is asked whether waiting still makes sense. The binding divides a flush of
# 0.2 s or more into several, and goes on with the next after one of them raised a fatal error: the
# reports it then brings find the exception set, fail, and are lost (confluent-kafka 2.16).
_SLICE_SECONDS = 0.15
# After a first error the rest may still be acknowledged: each that is need not be sent twice.
_AFTER_ERROR_SECONDS = 1.0
_PURGE_SECONDS = 0.3
# The answer to a fetch of 2,000 is megabytes, of which a socket holds about 200 kB; 64 events are
# handed over in the time that the server needs to fill it again.
_MEANWHILE_EVENTS = 64

# librdkafka takes a message for delivered when a later batch of its partition was: a broker that
# has forgotten the producer accepts that one although it refused this one. The offset that a broker
# gave is the proof that a message stands in the log.
UNCONFIRMED = "UNCONFIRMED"

Options = Mapping[str, str | int | bool]

# Each message travels in a request of its own: an error is the message's own.
ONE_BY_ONE: Options = {"batch.num.messages": 1}
# For a producer that is used for one message: an idempotent one begins with a wait of half a second
# for its id, and guards nothing here but against a repetition.
ALONE: Options = {"enable.idempotence": False}


class Publisher:
    """A producer, and the events given to it that are neither settled nor given up.

    Attributes:
        failures: What was not delivered and why, in the order of the reports.
    """

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
        self._log = ClientLog(log)
        self._note_delays = note_delays
        self._producer = Producer(dict(options), logger=self._log)
        self._lanes = Lanes()
        self._ready: deque[PendingEvent] = deque()
        self._in_flight: dict[int, PendingEvent] = {}
        self._acknowledged: list[PendingEvent] = []
        # Acknowledged too, and what waited for them is ready.
        self._followed: list[PendingEvent] = []
        self._delays: list[float] = []
        self.failures: list[Failure] = []

    @property
    def under_way(self) -> int:
        """How many events were given to it and are neither acknowledged nor failed."""
        return len(self._ready) + len(self._in_flight) + self._lanes.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing was acknowledged that the caller has not."""
        return not (self.under_way or self._acknowledged or self._followed)

    @property
    def unsent(self) -> int:
        """How many events the client had no room for."""
        return len(self._ready)

    @property
    def oldest_id(self) -> int | None:
        """The lowest id that is sent or could be, or None."""
        unsent = (event.id for event in self._ready)
        return min(chain(self._in_flight, unsent), default=None)

    @property
    def in_trouble(self) -> bool:
        """Whether anything failed that no message is to blame for."""
        return any(not failure.suspect for failure in self.failures)

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
            if not self._hand_over(self._ready[0]):
                return
            self._ready.popleft()
            position += 1

    def poll(self, seconds: float = 0.0) -> None:
        """Let the client log and report; wait up to ``seconds`` for a first report."""
        with self._noting_the_end():
            self._producer.poll(seconds)

    def flush(self) -> None:
        """Send at once what lingers for more, and wait a moment for every report."""
        with self._noting_the_end():
            self._producer.flush(_SLICE_SECONDS)

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
        """Wait for the reports still to come: one second after an error, else as long as it takes.

        Args:
            keep_waiting: Asked several times a second; may raise.
        """
        failed_at: float | None = None
        while self._in_flight:
            self.flush()
            if not keep_waiting():
                return
            if self.failures:
                failed_at = failed_at or time.monotonic()
                if time.monotonic() - failed_at >= _AFTER_ERROR_SECONDS:
                    return

    def take_acknowledged(self) -> list[PendingEvent]:
        """Return what was acknowledged since the last call, for the caller to delete.

        What waited for them may be sent now.
        """
        self._let_follow()
        followed, self._followed = self._followed, []
        return followed

    def give_up(self, code: str, detail: str) -> None:
        """Send nothing any more, because of trouble that lies elsewhere."""
        self.failures.append(Failure(code, detail))

    def breakdown(self) -> Breakdown | None:
        """Return what failed until now; None if nothing did."""
        return Breakdown(tuple(self.failures)) if self.failures else None

    def discard(self) -> None:
        """Drop what is queued and in flight; a request already sent cannot be called back."""
        # It would tell of messages that nobody waits for any more.
        self._log.muted = True
        self._producer.purge()
        # Each report still to come refers to this object and would keep the client alive.
        given_up_at = time.monotonic() + _PURGE_SECONDS
        while len(self._producer) and time.monotonic() < given_up_at:
            self.flush()

    def _let_follow(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, []
        self._ready.extend(self._lanes.leave(acknowledged))
        self._followed += acknowledged
        delays, self._delays = self._delays, []
        self._note_delays(delays)

    def _hand_over(self, event: PendingEvent) -> bool:
        """Give one event to the client; return whether it is dealt with."""
        try:
            self._producer.produce(
                event.topic,
                event.payload,
                event.key,
                headers=event.headers,
                on_delivery=partial(self._report, event),
            )
        except BufferError:
            if self._in_flight:
                return False
            detail = "the message is larger than the client's queue"
            self.failures.append(Failure("MSG_SIZE_TOO_LARGE", detail, event))
        except KafkaException as exc:
            error = exc.args[0]
            self.failures.append(Failure(error.name(), error.str(), event))
        except (TypeError, ValueError) as exc:
            self.failures.append(Failure("_INVALID_ARG", str(exc), event))
        else:
            self._in_flight[event.id] = event
        return True

    def _report(self, event: PendingEvent, error: KafkaError | None, message: Message) -> None:
        del self._in_flight[event.id]
        if error is not None:
            self.failures.append(Failure(error.name(), error.str(), event))
        elif message.offset() is None:
            self.failures.append(Failure(UNCONFIRMED, "acknowledged without an offset", event))
        else:
            self._acknowledged.append(event)
            self._delays.append(max(0.0, time.monotonic() - event.recorded_at))

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        """The client raises a fatal error out of whatever call is the next to let it report."""
        try:
            yield
        except KafkaException as exc:
            error = exc.args[0]
            self.give_up(error.name(), error.str())
