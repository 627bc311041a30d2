"""What a producer's life ended with, and whom it speaks against: a message, or Kafka."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import BrokerTrouble
from relay.pending_event import PendingEvent

# What may lie in one message: the broker refuses the whole batch that it travelled in, so nothing
# is believed of a message that was not alone. Any other error is trouble that is nobody's fault.
_SUSPECT_CODES = frozenset(
    {
        "MSG_SIZE_TOO_LARGE",
        "INVALID_MSG_SIZE",
        "RECORD_LIST_TOO_LARGE",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
        "_INVALID_ARG",
    }
)
# What the client says of messages that it gave up because of another error, and not of that one.
_CONSEQUENCES = frozenset({"_FATAL", "_PURGE_QUEUE", "_PURGE_INFLIGHT"})


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not delivered, or ended the client.

    Attributes:
        code: librdkafka's name of the error, or one of `kafka_client.py`.
        event: Which message it befell; None if it was the client itself.
    """

    code: str
    detail: str
    event: PendingEvent | None = None

    @property
    def suspect(self) -> bool:
        """Whether the message itself may be the reason."""
        return self.event is not None and self.code in _SUSPECT_CODES

    @property
    def consequence(self) -> bool:
        """Whether the client only gave it up, because of what had failed before."""
        return self.event is not None and self.code in _CONSEQUENCES


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Everything that was reported until the producer was given up; not empty.

    Attributes:
        failures: In the order of the reports.
    """

    failures: Sequence[Failure]

    @property
    def cause(self) -> Failure:
        """What to tell of all that was reported: trouble before suspects before consequences."""
        own = [failure for failure in self.failures if not failure.consequence]
        worst = next((failure for failure in own if not failure.suspect), None)
        return worst or next(iter(own), None) or self.failures[0]

    @property
    def trouble(self) -> BrokerTrouble | None:
        """What no message is to blame for, to be raised; None where messages may be to blame."""
        cause = self.cause
        if cause.suspect:
            return None
        topic = None if cause.event is None else cause.event.topic
        return BrokerTrouble(cause.code, cause.detail, topic)

    @property
    def suspects(self) -> list[PendingEvent]:
        """The events that may be to blame, in id order; no two are of one stream."""
        found = [failure.event for failure in self.failures if failure.suspect]
        return sorted((event for event in found if event), key=lambda event: event.id)

    @property
    def codes(self) -> Counter[str]:
        """How often each error was reported, consequences left out."""
        own = Counter(failure.code for failure in self.failures if not failure.consequence)
        return own or Counter([self.cause.code])

    @property
    def told(self) -> dict[str, str | int]:
        """The cause as fields of a log line, with the number of messages that failed."""
        cause = self.cause
        failed = sum(failure.event is not None for failure in self.failures)
        fields: dict[str, str | int] = {
            "code": cause.code,
            "detail": cause.detail,
            "failed": failed,
        }
        if cause.event is None:
            return fields
        return {**fields, "event_id": cause.event.event_id, "stream": cause.event.stream}
