"""Holds each stream to its order: which rows may be sent, and which block their stream.

Writers lock the aggregate's row and raise its sequence before they insert into the outbox, so ids
rise with the sequence of a stream, and sending in id order is sending in sequence order. The relay
holds them to it: a row that breaks the rule, like one that cannot be decoded, blocks its stream and
leaves every other stream alone. A gap upwards is legal: an operator raises all sequences after
a restored backup.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from relay.pending_event import PendingEvent

# Under 20 MB; a stream forgotten is checked within each batch only, as it would be after a restart.
_REMEMBERED_STREAMS = 100_000


# What a stream is blocked for, where the relay itself finds the fault.
MALFORMED = "MALFORMED"
OUT_OF_ORDER = "OUT_OF_ORDER"
UNKNOWN_TOPIC = "UNKNOWN_TOPIC"


@dataclass(frozen=True, slots=True)
class Offence:
    """An event that may not be sent, and nothing of its stream behind it."""

    event: PendingEvent
    code: str
    detail: str


class StreamOrder:
    """Remembers what was sent last of each stream, and vets what comes next."""

    def __init__(self, remembered_streams: int = _REMEMBERED_STREAMS) -> None:
        self._published: OrderedDict[str, int] = OrderedDict()
        self._sent: dict[str, int] = {}
        self._remembered_streams = remembered_streams

    def vet(
        self, batch: Iterable[PendingEvent], missing_topics: Collection[str] = ()
    ) -> tuple[list[PendingEvent], list[Offence]]:
        """Split a batch in id order into what is sent next and what blocks its stream.

        Args:
            batch: None of them vetted before, unless it was given up.
            missing_topics: Those that nothing can be sent to.

        Returns:
            The events to send, in order, and the first bad event of each stream that has one.
            Later events of such a stream are in neither.
        """
        sendable: list[PendingEvent] = []
        offences: dict[str, Offence] = {}
        for event in batch:
            stream = event.stream
            if stream in offences:
                continue
            before = self._sent.get(stream) or self._published.get(stream, 0)
            if event.defect is not None:
                offences[stream] = Offence(event, MALFORMED, event.defect)
            elif event.sequence <= before:
                detail = f"sequence {event.sequence} comes after {before}"
                offences[stream] = Offence(event, OUT_OF_ORDER, detail)
            elif event.topic in missing_topics:
                detail = f"topic {event.topic} is not there for this relay, and not configured"
                offences[stream] = Offence(event, UNKNOWN_TOPIC, detail)
            else:
                self._sent[stream] = event.sequence
                sendable.append(event)
        return sendable, list(offences.values())

    def note_published(self, events: Iterable[PendingEvent]) -> None:
        """Remember what was acknowledged and deleted."""
        for event in events:
            self._published[event.stream] = event.sequence
            self._published.move_to_end(event.stream)
            if self._sent.get(event.stream) == event.sequence:
                del self._sent[event.stream]
        while len(self._published) > self._remembered_streams:
            self._published.popitem(last=False)

    def forget_sent(self) -> None:
        """Expect again what was sent and not published: it was given up."""
        self._sent.clear()
