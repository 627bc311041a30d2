"""What was taken of each stream and is not deleted; a stream with much of it is left out.

Of one stream an event moves a round trip, so the backlog of a single stream would fill whatever
room there is and hold up all others. So no more than ``_MOST_WAITING`` events of a stream are
taken. What a fetch brings beyond them is dropped, and the stream is left out: fetches pass over its
rows, and the last sequence that was taken of it is remembered. When half of what was taken is
through, its next rows are fetched beside the others, and when that brought fewer than it asked for,
it is left out no longer (``floor.py`` has the proof).

Streams that return share what a fetch may bring, in equal parts: of each an event moves at a time,
so one event each of many is worth more than many of one. Where there is not one for each, it is the
turn of those that have the least taken, and among these of those that waited longest.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.outbox import Returning, Wanted
from relay.pending_event import PendingEvent

_MOST_WAITING = 50


@dataclass(slots=True)
class _Taken:
    number: int
    last_sequence: int


class Backlogs:
    """The streams that have anything taken, and those of them that are left out."""

    def __init__(self, most_waiting: int = _MOST_WAITING) -> None:
        self._most = most_waiting
        self._held: set[int] = set()
        self._taken: dict[str, _Taken] = {}
        # With the last sequence that was taken of it; who waits longest comes first.
        self._left_out: dict[str, int] = {}
        self._crowded = 0

    @property
    def left_out(self) -> Mapping[str, int]:
        """The streams whose rows a fetch passes over, each with the last sequence taken of it."""
        return self._left_out

    @property
    def spread(self) -> int:
        """How many events are taken, of a stream that is left out only the foremost."""
        return len(self._held) - self._crowded + len(self._left_out.keys() & self._taken.keys())

    @property
    def held(self) -> int:
        """How many events are taken."""
        return len(self._held)

    def returning(self, most: int) -> Returning:
        """Return which streams' next rows are to be fetched beside the others.

        Args:
            most: The most rows that may come.
        """
        drained = [each for each in self._left_out if self._number(each) <= self._most // 2]
        drained.sort(key=self._number)
        returning = {}
        left = most
        for position, stream in enumerate(drained[:most]):
            share = -(-left // (len(drained) - position))
            at_most = min(share, self._most - self._number(stream))
            left -= at_most
            # To the end: it has had its turn.
            last_sequence = self._left_out[stream] = self._left_out.pop(stream)
            returning[stream] = Wanted(last_sequence, at_most)
        return returning

    def choose(self, fetched: Iterable[PendingEvent]) -> list[PendingEvent]:
        """Return what of ``fetched`` is new and to be taken now; of the rest it is left out."""
        chosen = []
        new: dict[str, int] = {}
        full: set[str] = set()
        for event in fetched:
            stream = event.stream
            if event.id in self._held or stream in full:
                continue
            number = self._number(stream) + new.get(stream, 0)
            if number >= self._most:
                full.add(stream)
                continue
            new[stream] = new.get(stream, 0) + 1
            chosen.append(event)
        last = {event.stream: event.sequence for event in chosen}
        for stream in full:
            if stream not in self._left_out:
                self._crowded += self._number(stream)
            # Full, and so something was taken of it before or just now.
            before = self._taken.get(stream)
            self._left_out[stream] = last[stream] if before is None else before.last_sequence
        for stream in self._left_out.keys() & last.keys():
            self._left_out[stream] = last[stream]
        return chosen

    def take(self, events: Sequence[PendingEvent]) -> None:
        """Count events as taken."""
        for event in events:
            stream = event.stream
            taken = self._taken.get(stream)
            if taken is None:
                self._taken[stream] = _Taken(1, event.sequence)
            else:
                taken.number += 1
                taken.last_sequence = event.sequence
            self._held.add(event.id)
            self._crowded += stream in self._left_out

    def let_in(self, returning: Returning, fetched: Iterable[PendingEvent]) -> None:
        """Leave out no longer of which a fetch brought less than was wanted: there is no more."""
        if returning:
            found = Counter(event.stream for event in fetched)
            self.drop(each for each, wanted in returning.items() if found[each] < wanted.at_most)

    def drop(self, streams: Iterable[str]) -> None:
        """These wait for an operator; a release fetches everything anew."""
        for stream in self._left_out.keys() & set(streams):
            del self._left_out[stream]
            self._crowded -= self._number(stream)

    def let_all_in(self) -> None:
        """Leave no stream out, for fetches that begin anew."""
        self._left_out.clear()
        self._crowded = 0

    def settle(self, events: Iterable[PendingEvent]) -> None:
        """Forget what was deleted."""
        for event in events:
            stream = event.stream
            taken = self._taken.get(stream)
            if taken is None or event.id not in self._held:
                continue
            self._held.discard(event.id)
            self._crowded -= stream in self._left_out
            taken.number -= 1
            if not taken.number:
                del self._taken[stream]

    def clear(self) -> None:
        """Forget everything: what was taken is given up."""
        self._held.clear()
        self._taken.clear()
        self.let_all_in()

    def _number(self, stream: str) -> int:
        taken = self._taken.get(stream)
        return 0 if taken is None else taken.number
