"""One Kafka producer, and what it reported of each message: acknowledged, or failed and why.

Which message a report is for: the client hands back no headers and no opaque, and values may
repeat, so one shared method is bound to each event.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from relay.breakdown import Failure
from relay.logs import ClientLog
from relay.pending_event import PendingEvent

# How often the caller is asked whether waiting still makes sense. The binding divides a flush of
# 0.2 s or more into several, and goes on with the next after one of them raised a fatal error: the
# reports it then brings find the exception set, fail, and are lost (confluent-kafka 2.16).
_SLICE_SECONDS = 0.15
# What is purged is reported at once; but one slice may go by while this thread stands still, and
# one may end with a fatal error.
_SILENT_SLICES = 3

# librdkafka takes a message for delivered when a later batch of its partition was: a broker that
# has forgotten the producer accepts that one although it refused this one. The offset that a broker
# gave is the proof that a message stands in the log.
UNCONFIRMED = "UNCONFIRMED"

Options = Mapping[str, str | int | bool]


class KafkaClient:
    """A producer, and the events given to it of which it has not reported yet.

    Attributes:
        in_flight: When each was handed over, by its id and in that order.
        failures: What was not delivered and why, in the order of the reports.
    """

    def __init__(self, options: Options, log: logging.Logger) -> None:
        """Create the client; it connects in the background.

        Args:
            options: Of librdkafka.

        Raises:
            KafkaException: An option is unknown or malformed.
        """
        self._log = ClientLog(log)
        self._producer = Producer(dict(options), logger=self._log)
        self._acknowledged: list[PendingEvent] = []
        self._delays: list[float] = []
        self._slowest_seconds = 0.0
        self.in_flight: dict[int, float] = {}
        self.failures: list[Failure] = []

    @property
    def has_acknowledged(self) -> bool:
        """Whether anything was acknowledged since the last `take_acknowledged`."""
        return bool(self._acknowledged)

    def hand_over(self, event: PendingEvent) -> bool:
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
            if self.in_flight:
                return False
            detail = "the message is larger than the client's queue"
            self.failures.append(Failure("MSG_SIZE_TOO_LARGE", detail, event))
        except KafkaException as exc:
            error = exc.args[0]
            self.failures.append(Failure(error.name(), error.str(), event))
        except (TypeError, ValueError) as exc:
            self.failures.append(Failure("_INVALID_ARG", str(exc), event))
        else:
            self.in_flight[event.id] = time.monotonic()
        return True

    def poll(self, seconds: float = 0.0) -> None:
        """Let the client log and report; wait up to ``seconds`` for a first report."""
        with self._noting_the_end():
            self._producer.poll(seconds)

    def flush(self) -> None:
        """Send at once what lingers for more, and wait a moment for every report."""
        with self._noting_the_end():
            self._producer.flush(_SLICE_SECONDS)

    def take_acknowledged(self) -> tuple[list[PendingEvent], list[float]]:
        """Return what was acknowledged since the last call, and how old each was by then.

        Returns:
            The events, and how many seconds after its record each was acknowledged. Never negative,
            though the database's clock may be set back.
        """
        acknowledged, self._acknowledged = self._acknowledged, []
        delays, self._delays = self._delays, []
        return acknowledged, delays

    def take_slowest(self) -> float:
        """Return the most seconds from hand-over to acknowledgement since the last call."""
        slowest, self._slowest_seconds = self._slowest_seconds, 0.0
        return slowest

    def give_up(self, code: str, detail: str, event: PendingEvent | None = None) -> None:
        """Send nothing any more, because of trouble that lies elsewhere.

        Args:
            event: What met it, on another client; None where it was no message.
        """
        self.failures.append(Failure(code, detail, event))

    def discard(self) -> None:
        """Drop what is queued and in flight; a request already sent cannot be called back."""
        # It would tell of messages that nobody waits for any more.
        self._log.muted = True
        self._producer.purge()
        # Each report still to come refers to this object and would keep the client alive.
        left, silent = len(self.in_flight), 0
        while len(self._producer) and silent < _SILENT_SLICES:
            self.flush()
            silent = 0 if len(self.in_flight) < left else silent + 1
            left = len(self.in_flight)

    def _report(self, event: PendingEvent, error: KafkaError | None, message: Message) -> None:
        handed_over_at = self.in_flight.pop(event.id)
        if error is not None:
            self.failures.append(Failure(error.name(), error.str(), event))
        elif message.offset() is None:
            self.failures.append(Failure(UNCONFIRMED, "acknowledged without an offset", event))
        else:
            now = time.monotonic()
            self._acknowledged.append(event)
            self._delays.append(max(0.0, now - event.recorded_at))
            self._slowest_seconds = max(self._slowest_seconds, now - handed_over_at)

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        """The client raises a fatal error out of whatever call is the next to let it report."""
        try:
            yield
        except KafkaException as exc:
            error = exc.args[0]
            self.give_up(error.name(), error.str())
