"""One Kafka producer: sends a batch in order and tells what the broker acknowledged.

A publisher lives from one delivery error to the next. After an error nobody knows what of the
following messages went out, so the caller deletes the acknowledged prefixes, discards the publisher
with everything it still holds, and fetches again.

Which message a report is for: the client hands back no headers and no opaque, and values may
repeat. One shared method is therefore bound to each event with ``partial``; measured against a
callback that merely counts, the difference could not be told from noise, and either way the client
takes more than ten times what the whole relay delivers.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay.outbox import PendingEvent

# How often the caller is asked whether waiting still makes sense.
_SLICE_SECONDS = 0.2
# After a first error the rest may still be acknowledged: each that is need not be sent twice.
_AFTER_ERROR_SECONDS = 1.0
_PURGE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that was not delivered.

    Attributes:
        code: librdkafka's name of the error.
        refused: The client refused the message itself before sending anything; the producer is
            unharmed, and no retry will help.
    """

    event: PendingEvent
    code: str
    detail: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a batch; an event in neither is one that was not waited for."""

    acknowledged: frozenset[int]
    failures: tuple[Failure, ...]


class Publisher:
    """A producer and the messages it has in flight."""

    def __init__(self, options: Mapping[str, str | int | bool], log: logging.Logger) -> None:
        """Create the client; it connects in the background.

        Raises:
            KafkaException: An option is unknown or malformed.
        """
        self._producer = Producer(dict(options), logger=log)
        self._acknowledged: set[int] = set()
        self._failures: list[Failure] = []

    def publish(self, batch: Sequence[PendingEvent], keep_waiting: Callable[[], bool]) -> Delivery:
        """Send ``batch`` in its order and wait until every message is reported.

        With no message timeout a broker that is away is waited for as long as ``keep_waiting``
        says so. A stream whose message is refused by the client is not sent further.

        Args:
            batch: Events in id order.
            keep_waiting: Asked several times a second; may raise to abandon the batch.
        """
        self._acknowledged = set()
        self._failures = []
        expected = self._produce(batch, keep_waiting)
        self._await_reports(expected, keep_waiting)
        return Delivery(frozenset(self._acknowledged), tuple(self._failures))

    def serve(self) -> None:
        """Let the client log and report while there is nothing to send."""
        self._producer.poll(0)

    def discard(self) -> None:
        """Drop what is queued and in flight; a request already sent cannot be called back."""
        self._producer.purge()
        # Each report still to come refers to this object and would keep the client alive.
        self._producer.flush(_PURGE_SECONDS)

    def _produce(self, batch: Sequence[PendingEvent], keep_waiting: Callable[[], bool]) -> int:
        """Queue the batch; return how many messages will be reported."""
        halted: set[str] = set()
        queued = 0
        for event in batch:
            if event.stream in halted:
                continue
            failure = self._queue(event, keep_waiting)
            if failure is None:
                queued += 1
            else:
                self._failures.append(failure)
                halted.add(event.stream)
        return queued + len(self._failures)

    def _queue(self, event: PendingEvent, keep_waiting: Callable[[], bool]) -> Failure | None:
        while True:
            try:
                self._producer.produce(
                    event.topic,
                    event.payload,
                    event.key,
                    headers=event.headers,
                    on_delivery=partial(self._report, event),
                )
            except BufferError:
                # Only a batch larger than the client's queue gets here.
                self._producer.poll(_SLICE_SECONDS)
                if not keep_waiting():
                    return Failure(event, "_QUEUE_FULL", "the client's queue is full")
            except KafkaException as exc:
                error = exc.args[0]
                refused = error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._INVALID_ARG)  # noqa: SLF001 - librdkafka's own codes begin with an underscore
                return Failure(event, error.name(), error.str(), refused=refused)
            except (TypeError, ValueError) as exc:
                return Failure(event, "_INVALID_ARG", str(exc), refused=True)
            else:
                return None

    def _report(self, event: PendingEvent, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged.add(event.id)
        else:
            self._failures.append(Failure(event, error.name(), error.str()))

    def _await_reports(self, expected: int, keep_waiting: Callable[[], bool]) -> None:
        error_seen_at: float | None = None
        while len(self._acknowledged) + len(self._failures) < expected:
            # flush, unlike poll, sends at once instead of lingering for more.
            self._producer.flush(_SLICE_SECONDS)
            if not keep_waiting():
                return
            if any(not failure.refused for failure in self._failures):
                error_seen_at = error_seen_at or time.monotonic()
                if time.monotonic() - error_seen_at >= _AFTER_ERROR_SECONDS:
                    return
