"""What a producer's life ended with, and whom it speaks against: a message, or Kafka."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import BrokerTrouble
from relay.outbox import PendingEvent

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
CONSEQUENCES = frozenset({"_FATAL", "_GAPLESS_GUARANTEE", "_PURGE_QUEUE", "_PURGE_INFLIGHT"})


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that was not delivered.

    Attributes:
        code: librdkafka's name of the error.
    """

    event: PendingEvent
    code: str
    detail: str

    @property
    def suspect(self) -> bool:
        """Whether the message itself may be the reason."""
        return self.code in _SUSPECT_CODES

    @property
    def consequence(self) -> bool:
        """Whether the client only gave it up, because of what had failed before."""
        return self.code in CONSEQUENCES


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Everything that was reported until the producer was given up.

    Attributes:
        failures: In the order of the reports; not empty, unless ``fatal`` is set.
        fatal: What ended the client itself, or None.
        unsettled: The first event of each stream that was not acknowledged, in id order.
    """

    failures: Sequence[Failure]
    fatal: BrokerTrouble | None
    unsettled: Sequence[PendingEvent]

    @property
    def cause(self) -> Failure | BrokerTrouble:
        """What to tell of all that was reported."""
        own = [failure for failure in self.failures if not failure.consequence]
        worst = next((failure for failure in own if not failure.suspect), None)
        return worst or next(iter(own), None) or self.fatal or self.failures[0]

    @property
    def codes(self) -> Counter[str]:
        """How often each error was reported, consequences left out."""
        own = Counter(failure.code for failure in self.failures if not failure.consequence)
        return own or Counter([self.cause.code])

    @property
    def told(self) -> dict[str, str | int]:
        """The cause as fields of a log line, with the number of messages that failed."""
        cause = self.cause
        fields: dict[str, str | int] = {
            "code": cause.code,
            "detail": cause.detail,
            "failed": len(self.failures),
        }
        if isinstance(cause, BrokerTrouble):
            return fields
        return {**fields, "event_id": cause.event.event_id, "stream": cause.event.stream}

    @property
    def trouble(self) -> BrokerTrouble | None:
        """What no message is to blame for; None where messages may be."""
        cause = self.cause
        if isinstance(cause, BrokerTrouble):
            return cause
        if cause.suspect and self.suspects:
            return None
        return BrokerTrouble(cause.code, cause.detail)

    @property
    def suspects(self) -> list[PendingEvent]:
        """The events that may be to blame and that nothing of their stream stands before."""
        failed = {failure.event.id for failure in self.failures if failure.suspect}
        return [event for event in self.unsettled if event.id in failed]

    @property
    def last_suspect_id(self) -> int:
        """The highest id that may be to blame, or 0."""
        return max((failure.event.id for failure in self.failures if failure.suspect), default=0)
