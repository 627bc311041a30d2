"""Keeps each stream in order: which rows may be sent, and which of those sent may be deleted.

Writers lock the aggregate's row and raise its sequence before they insert into the outbox, so ids
rise with the sequence of a stream, and sending in id order is sending in sequence order. The relay
holds them to it: a row that breaks the rule, like one that cannot be decoded, blocks its stream and
leaves every other stream alone. A gap upwards is legal: an operator raises all sequences after
a restored backup.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from relay.outbox import PendingEvent

# Under 20 MB; a stream forgotten is checked within each batch only, as it would be after a restart.
_REMEMBERED_STREAMS = 100_000


# What a stream is blocked for, where the relay itself finds the fault.
MALFORMED = "MALFORMED"
OUT_OF_ORDER = "OUT_OF_ORDER"


@dataclass(frozen=True, slots=True)
class Offence:
    """An event that may not be sent, and nothing of its streams behind it."""

    event: PendingEvent
    code: str
    detail: str


class StreamOrder:
    """Remembers what was sent last of each stream, and vets what comes next."""

    def __init__(self, remembered_streams: int = _REMEMBERED_STREAMS) -> None:
        self._published: OrderedDict[str, int] = OrderedDict()
        self._sent: dict[str, int] = {}
        self._remembered_streams = remembered_streams

    def vet(self, batch: Iterable[PendingEvent]) -> tuple[list[PendingEvent], list[Offence]]:
        """Split a batch in id order into what is sent next and what blocks its stream.

        Returns:
            The events to send, in order, and the first bad event of each stream that has one.
            Later events of such a stream are in neither.
        """
        sendable: list[PendingEvent] = []
        offences: list[Offence] = []
        halted: set[str] = set()
        for event in batch:
            stream = event.stream
            if stream in halted and event.ledger_stream is None:
                continue
            before = self._sent.get(stream) or self._published.get(stream, 0)
            if event.defect is not None:
                offences.append(Offence(event, MALFORMED, event.defect))
            elif event.sequence <= before:
                detail = f"sequence {event.sequence} comes after {before}"
                offences.append(Offence(event, OUT_OF_ORDER, detail))
            else:
                self._sent[stream] = event.sequence
                sendable.append(event)
                continue
            halted |= event.streams
        return sendable, offences

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


def acknowledged_prefixes(
    batch: Iterable[PendingEvent], acknowledged: Collection[int]
) -> list[PendingEvent]:
    """Return, per stream, the events before the first one that was not acknowledged.

    Only these may be deleted: an acknowledged event behind a failed one is sent again after it, so
    that the last copy of each stands in order.
    """
    halted: set[str] = set()
    prefix = []
    for event in batch:
        if event.stream in halted:
            continue
        if event.id in acknowledged:
            prefix.append(event)
        else:
            halted.add(event.stream)
    return prefix
