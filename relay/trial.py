"""One suspect on its way alone: a broker that cannot take one message refuses its whole batch.

It travels on a producer of its own, beside whatever else is published, and nobody waits for it. If
it fails it is sent once more by a fresh producer, and only then believed to be guilty.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from relay.breakdown import Breakdown, Failure
from relay.pending_event import PendingEvent


class Sender(Protocol):
    """What a trial needs of a `Publisher`."""

    def take(self, events: Sequence[PendingEvent]) -> None: ...
    def send(self) -> None: ...
    def poll(self) -> None: ...
    def take_acknowledged(self) -> list[PendingEvent]: ...
    def breakdown(self) -> Breakdown | None: ...
    def discard(self) -> None: ...


class Outcome(Enum):
    """What a trial ended with.

    Silence is no answer: what was sent may still be appended, and is a duplicate then. For whatever
    follows in its stream is sent only when a later trial was acknowledged.
    """

    ACKNOWLEDGED = auto()
    GUILTY = auto()
    TROUBLE = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended.

    Attributes:
        failure: What speaks against the event, or in trouble against Kafka; else None.
    """

    event: PendingEvent
    outcome: Outcome
    failure: Failure | None = None


class Trial:
    """Sends its event at once, and holds a producer until it is ended."""

    def __init__(
        self,
        event: PendingEvent,
        patience_seconds: float,
        new_sender: Callable[[], Sender],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send the event.

        Args:
            event: The first of its stream that is not published.
            patience_seconds: How long to wait for an answer, each time that it is sent.
            new_sender: Makes a fresh producer.
        """
        self._event = event
        self._patience_seconds = patience_seconds
        self._new_sender = new_sender
        self._clock = clock
        self._failed_before = False
        self._sender = self._sent()

    @property
    def event(self) -> PendingEvent:
        return self._event

    @property
    def patience_seconds(self) -> float:
        return self._patience_seconds

    def verdict(self, *, again: bool) -> Verdict | None:
        """Return what became of it, None if that is open; never waits.

        Args:
            again: Whether to send it once more if it has failed; else that waits for the next call.
        """
        self._sender.poll()
        if self._sender.take_acknowledged():
            return Verdict(self._event, Outcome.ACKNOWLEDGED)
        breakdown = self._sender.breakdown()
        if breakdown is None:
            if self._clock() - self._sent_at < self._patience_seconds:
                return None
            return Verdict(self._event, Outcome.SILENT)
        if breakdown.trouble is not None:
            return Verdict(self._event, Outcome.TROUBLE, breakdown.cause)
        if self._failed_before:
            return Verdict(self._event, Outcome.GUILTY, breakdown.cause)
        if again:
            self._failed_before = True
            self._sender.discard()
            self._sender = self._sent()
        return None

    def end(self) -> None:
        """Give the producer up; a request already sent cannot be called back."""
        self._sender.discard()

    def _sent(self) -> Sender:
        sender = self._new_sender()
        sender.take([self._event])
        sender.send()
        self._sent_at = self._clock()
        return sender
