"""Sends what a replay reads: in order, a bounded number at a time, up to the first error.

It is no part of the delivery promise: the outbox is not touched, and a replay that ended early is
begun again, for consumers drop what they had by its sequence.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay.commands.errors import Failed, Refused
from relay.commands.selection import LedgerEvent
from relay.kafka_client import UNCONFIRMED
from relay.settings import KafkaSettings

# Far below the client's own queue of 100,000 messages.
_MOST_IN_FLIGHT = 1_000
# Below 0.2 s for the reason that `kafka_client.py` gives.
_SLICE_SECONDS = 0.15
_METADATA_SECONDS = 10.0
# A broker that is away is not waited for as the relay waits: an operator looks on.
_STALL_SECONDS = 30.0
_LAST_WORDS_SECONDS = 2.0
_PURGE_SECONDS = 0.3

_NO_SUCH_TOPIC = frozenset({"UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION"})

_HEADERS = msgspec.json.Decoder(list[tuple[str, str | None]])


def muted_log() -> logging.Logger:
    """Return a logger for Kafka clients: what they say would not be one line."""
    log = logging.getLogger("relay.commands.kafka")
    log.handlers = [logging.NullHandler()]
    log.propagate = False
    return log


class Sender:
    """One producer and one topic.

    Attributes:
        acknowledged: How many events the broker has.
        acknowledged_through: All events up to this place in the ledger are among them; None
            before the first is.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        headers: Mapping[str, str],
    ) -> None:
        """Create the client; it connects in the background.

        Args:
            headers: Added to those of each event.
        """
        self._topic = topic
        self._added = list(headers.items())
        self._in_flight: deque[int] = deque()
        self._reported: set[int] = set()
        self._error: str | None = None
        self._fatal: str | None = None
        self._connection_error: KafkaError | None = None
        self._heard_at = time.monotonic()
        self.acknowledged = 0
        self.acknowledged_through: int | None = None
        options = {**settings.client_options(), "error_cb": self._note_connection_error}
        self._producer = Producer(options, logger=muted_log())

    def require_topic(self) -> None:
        """Return if the topic exists.

        Raises:
            Refused: It does not.
            Failed: The broker did not say.
        """
        try:
            found = self._producer.list_topics(self._topic, timeout=_METADATA_SECONDS)
        except KafkaException as exc:
            self._producer.poll(0)
            # The error of the request is only "timed out"; that of the connection tells why.
            error = self._connection_error or exc.args[0]
            raise Failed(f"the broker cannot be reached: {_describe(error)}") from exc
        error = found.topics[self._topic].error
        if error is None:
            return
        if error.name() in _NO_SUCH_TOPIC:
            raise Refused(f"topic {self._topic} does not exist")
        raise Failed(f"topic {self._topic}: {_describe(error)}")

    def send(self, event: LedgerEvent, between_steps: Callable[[], None]) -> None:
        """Hand an event to the client once there is room for it.

        Args:
            between_steps: Called several times a second during a wait; may raise to end it.

        Raises:
            Failed: This event or an earlier one was not delivered.
        """
        try:
            headers = [*_HEADERS.decode(event.headers), *self._added]
        except msgspec.DecodeError as exc:
            raise Failed(f"event {event.event_id} cannot be sent: headers: {exc}") from exc
        with self._noting_the_end():
            self._producer.poll(0)
        self._raise_error()
        while len(self._in_flight) >= _MOST_IN_FLIGHT or not self._take(event, headers):
            self._wait(between_steps)

    def finish(self, between_steps: Callable[[], None]) -> None:
        """Return once everything is acknowledged.

        Args:
            between_steps: As for ``send``.

        Raises:
            Failed: An event was not delivered.
        """
        while self._in_flight:
            self._wait(between_steps)

    def give_up(self) -> None:
        """Drop what is not sent; what is on its way may still be acknowledged, and then counts."""
        if self._in_flight:
            self._flush(_LAST_WORDS_SECONDS)
        self._producer.purge()
        # Each report still to come refers to this object and would keep the client alive.
        self._flush(_PURGE_SECONDS)

    def _take(self, event: LedgerEvent, headers: list[tuple[str, str | None]]) -> bool:
        """Return whether the client had room."""
        try:
            self._producer.produce(
                self._topic,
                event.payload,
                event.key,
                headers=list(headers),
                on_delivery=partial(self._report, event.id),
            )
        except BufferError:
            return False
        except (KafkaException, TypeError, ValueError) as exc:
            error = exc.args[0]
            reason = _describe(error) if isinstance(error, KafkaError) else str(exc)
            raise Failed(f"event {event.event_id} cannot be sent: {reason}") from exc
        if not self._in_flight:
            self._heard_at = time.monotonic()
        self._in_flight.append(event.id)
        return True

    def _wait(self, between_steps: Callable[[], None]) -> None:
        """Wait for reports, at most a slice; what lingers in the client is sent at once."""
        self._flush(_SLICE_SECONDS)
        self._raise_error()
        between_steps()
        if time.monotonic() - self._heard_at > _STALL_SECONDS:
            why = f": {_describe(self._connection_error)}" if self._connection_error else ""
            raise Failed(f"the broker acknowledged nothing for {_STALL_SECONDS:g} s{why}")

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        """The client raises a fatal error out of whatever call is the next to let it report."""
        try:
            yield
        except KafkaException as exc:
            self._fatal = self._fatal or _describe(exc.args[0])

    def _flush(self, seconds: float) -> None:
        """Send at once what lingers for more, and wait up to ``seconds`` for every report."""
        ends_at = time.monotonic() + seconds
        while True:
            with self._noting_the_end():
                self._producer.flush(min(seconds, _SLICE_SECONDS))
            if not len(self._producer) or time.monotonic() >= ends_at:
                return

    def _raise_error(self) -> None:
        if self._fatal is not None and self._error is None:
            # Of which message, and why, is in the reports behind it.
            self._flush(_PURGE_SECONDS)
        if self._error or self._fatal:
            raise Failed(f"not delivered: {self._error or self._fatal}")

    def _report(self, id_: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            # After the first come those that it takes along, and those that are purged.
            self._error = self._error or _describe(error)
            return
        if message.offset() is None:
            self._error = self._error or f"{UNCONFIRMED}: acknowledged without an offset"
            return
        self._heard_at = time.monotonic()
        self.acknowledged += 1
        self._reported.add(id_)
        while self._in_flight and self._in_flight[0] in self._reported:
            self.acknowledged_through = self._in_flight.popleft()
            self._reported.discard(self.acknowledged_through)

    def _note_connection_error(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":
            self._connection_error = error


def _describe(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
