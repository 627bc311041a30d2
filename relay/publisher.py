"""One Kafka producer and what it has in flight: sends in order, tells what was acknowledged.

A publisher lives from one delivery error to the next. The client would drop the batch that failed
and go on with those behind it, which consumers would see as a gap; `enable.gapless.guarantee` makes
such an error fatal instead, and the client then sends nothing any more. The caller deletes what was
acknowledged, discards the publisher with everything it still holds, and fetches again.

Which message a report is for: the client hands back no headers and no opaque, and values may
repeat, so one shared method is bound to each event's id.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay.breakdown import Breakdown, Failure
from relay.errors import BrokerTrouble
from relay.failpoints import Failpoint, reach
from relay.logs import ClientLog
from relay.ordering import acknowledged_prefixes
from relay.outbox import PendingEvent

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

Options = Mapping[str, str | int | bool]

# Each message travels in a request of its own, one after the other: an error is the message's own.
ONE_BY_ONE: Options = {"batch.num.messages": 1, "max.in.flight.requests.per.connection": 1}
# For a producer that never has more than one message: there is no order to keep, and an idempotent
# one begins with a wait of half a second for its id.
ALONE: Options = {"enable.idempotence": False, "enable.gapless.guarantee": False}


class Publisher:
    """A producer, and the events handed to it that are neither settled nor given up.

    Attributes:
        failures: What was not delivered and why, in the order of the reports.
        fatal: What ended the client itself, or None.
    """

    def __init__(self, options: Options, log: logging.Logger) -> None:
        """Create the client; it connects in the background.

        Raises:
            KafkaException: An option is unknown or malformed.
        """
        self._log = ClientLog(log)
        self._producer = Producer(dict(options), logger=self._log)
        self._in_flight: deque[PendingEvent] = deque()
        self._acknowledged: set[int] = set()
        self._newest_id = 0
        self.failures: list[Failure] = []
        self.fatal: BrokerTrouble | None = None

    @property
    def broken(self) -> bool:
        """Whether something failed, so that nothing may be sent any more."""
        return bool(self.failures) or self.fatal is not None

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def oldest_id(self) -> int | None:
        """The id of the first event in flight, or None."""
        return self._in_flight[0].id if self._in_flight else None

    @property
    def newest_id(self) -> int:
        """The highest id that was sent and is in flight, or was until now."""
        return self._newest_id

    def send(
        self, batch: Sequence[PendingEvent], meanwhile: Callable[[], None] | None = None
    ) -> Sequence[PendingEvent]:
        """Hand ``batch`` to the client in its order; stops at the first event that it refuses.

        Args:
            batch: Events in id order.
            meanwhile: Called every few events.

        Returns:
            What the client has no room for now; none of it after a refusal.
        """
        half = len(batch) // 2
        for position, event in enumerate(batch):
            if position == half:
                reach(Failpoint.MID_PRODUCE)
            if meanwhile is not None and position % _MEANWHILE_EVENTS == 0:
                meanwhile()
            if not self._queue(event):
                return [] if self.broken else batch[position:]
        return []

    def poll(self, seconds: float = 0.0) -> None:
        """Let the client log and report; wait up to ``seconds`` for a first report."""
        with self._noting_the_end():
            self._producer.poll(seconds)

    def flush(self) -> None:
        """Send at once what lingers for more, and wait a moment for every report."""
        with self._noting_the_end():
            self._producer.flush(_SLICE_SECONDS)

    def breakdown(self) -> Breakdown | None:
        """Return what failed until now; None if nothing did."""
        if not self.broken:
            return None
        first: dict[str, PendingEvent] = {}
        for event in self._in_flight:
            first.setdefault(event.stream, event)
        return Breakdown(tuple(self.failures), self.fatal, tuple(first.values()))

    def await_rest(self, keep_waiting: Callable[[], bool]) -> None:
        """Wait for the reports still to come: one second after an error, else as long as it takes.

        Args:
            keep_waiting: Asked several times a second; may raise.
        """
        failed_at: float | None = None
        while len(self._acknowledged) + len(self.failures) < len(self._in_flight):
            self.flush()
            if not keep_waiting():
                return
            if self.broken:
                failed_at = failed_at or time.monotonic()
                if time.monotonic() - failed_at >= _AFTER_ERROR_SECONDS:
                    return

    def take_acknowledged(self) -> list[PendingEvent]:
        """Return, of each stream, what was acknowledged before its first event that was not.

        These are in flight no longer: the caller deletes them.
        """
        if not self._acknowledged:
            return []
        if len(self._acknowledged) == len(self._in_flight):
            settled = list(self._in_flight)
            self._in_flight.clear()
            self._acknowledged.clear()
            return settled
        settled = acknowledged_prefixes(self._in_flight, self._acknowledged)
        ids = {event.id for event in settled}
        self._in_flight = deque(event for event in self._in_flight if event.id not in ids)
        self._acknowledged -= ids
        return settled

    def discard(self) -> None:
        """Drop what is queued and in flight; a request already sent cannot be called back."""
        # It would tell that an order which nobody waits for any more cannot be kept.
        self._log.muted = True
        self._producer.purge()
        # Each report still to come refers to this object and would keep the client alive.
        given_up_at = time.monotonic() + _PURGE_SECONDS
        while len(self._producer) and time.monotonic() < given_up_at:
            self.flush()

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        """The client raises a fatal error out of whatever call is the next to let it report."""
        try:
            yield
        except KafkaException as exc:
            error = exc.args[0]
            self.fatal = self.fatal or BrokerTrouble(error.name(), error.str())

    def _queue(self, event: PendingEvent) -> bool:
        """Hand one event over; return whether the next may follow."""
        try:
            self._producer.produce(
                event.topic,
                event.payload,
                event.key,
                headers=event.headers,
                on_delivery=partial(self._report, event),
            )
        except BufferError:
            # Only with a client whose queue the environment made smaller than what we send.
            return False
        except KafkaException as exc:
            error = exc.args[0]
            self._note_refused(Failure(event, error.name(), error.str()))
            return False
        except (TypeError, ValueError) as exc:
            self._note_refused(Failure(event, "_INVALID_ARG", str(exc)))
            return False
        self._in_flight.append(event)
        self._newest_id = max(self._newest_id, event.id)
        return True

    def _note_refused(self, failure: Failure) -> None:
        """Treat what the client refused like what the broker did: it is in flight and failed."""
        self._in_flight.append(failure.event)
        self.failures.append(failure)

    def _report(self, event: PendingEvent, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged.add(event.id)
        else:
            self.failures.append(Failure(event, error.name(), error.str()))
