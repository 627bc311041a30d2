"""Keeps each stream in order: which rows may be sent, and which of those sent may be deleted.

Writers lock the aggregate's row and raise its sequence before they insert into the outbox, so ids
rise with the sequence of a stream, and sending in id order is sending in sequence order. The relay
holds them to it: a row that breaks the rule, like one that cannot be decoded, sets its stream aside
and leaves every other stream alone. A gap upwards is legal: an operator raises all sequences after
a restored backup.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence

from relay.outbox import PendingEvent

# Under 20 MB; a stream forgotten is checked within each batch only, as it would be after a restart.
_REMEMBERED_STREAMS = 100_000


class StreamOrder:
    """Remembers what was published last of each stream, and vets what comes next."""

    def __init__(self, remembered_streams: int = _REMEMBERED_STREAMS) -> None:
        self._published: OrderedDict[str, int] = OrderedDict()
        self._remembered_streams = remembered_streams

    def vet(
        self, batch: Iterable[PendingEvent]
    ) -> tuple[list[PendingEvent], list[tuple[PendingEvent, str]]]:
        """Split a batch in id order into what may be sent and what sets its stream aside.

        Returns:
            The events to send, in order, and for each stream to be set aside its first bad event
            with the reason. Later events of such a stream are in neither.
        """
        sendable: list[PendingEvent] = []
        offenders: dict[str, tuple[PendingEvent, str]] = {}
        newest: dict[str, int] = {}
        for event in batch:
            if event.stream in offenders:
                continue
            before = newest.get(event.stream) or self._published.get(event.stream, 0)
            if event.defect is not None:
                offenders[event.stream] = (event, event.defect)
            elif event.sequence <= before:
                reason = f"sequence {event.sequence} comes after {before}"
                offenders[event.stream] = (event, reason)
            else:
                newest[event.stream] = event.sequence
                sendable.append(event)
        return sendable, list(offenders.values())

    def note_published(self, events: Iterable[PendingEvent]) -> None:
        """Remember what was acknowledged and deleted."""
        for event in events:
            self._published[event.stream] = event.sequence
            self._published.move_to_end(event.stream)
        while len(self._published) > self._remembered_streams:
            self._published.popitem(last=False)


def acknowledged_prefixes(
    batch: Sequence[PendingEvent], acknowledged: Collection[int]
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
