"""What was taken of each stream and is not deleted; a stream with much of it is left out.

Of one stream an event moves a round trip, so the backlog of a single stream would fill whatever
room there is and hold up all others. So no more than ``_MOST_WAITING`` events of a stream are
taken. What a fetch brings beyond them is dropped, and the stream is left out: fetches pass over its
rows, and the last id that was taken of it is remembered. When half of what was taken is through,
its rows above that id are fetched beside the others, and when that brought all of them, it is left
out no longer (``floor.py`` has the proof).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.outbox import Returning
from relay.pending_event import PendingEvent

_MOST_WAITING = 50


@dataclass(slots=True)
class _Taken:
    number: int
    last_id: int


class Backlogs:
    """The streams that have anything taken, and those of them that are left out."""

    def __init__(self, most_waiting: int = _MOST_WAITING) -> None:
        self._most = most_waiting
        self._held: set[int] = set()
        self._taken: dict[str, _Taken] = {}
        # With the last id that was taken of it.
        self._left_out: dict[str, int] = {}
        self._crowded = 0
        self._full: set[str] = set()

    @property
    def left_out(self) -> Mapping[str, int]:
        """The streams whose rows a fetch passes over, each with the last id taken of it."""
        return self._left_out

    @property
    def spread(self) -> int:
        """How many events are taken, of a stream that is left out only the foremost."""
        return len(self._held) - self._crowded + len(self._left_out)

    @property
    def held(self) -> int:
        """How many events are taken."""
        return len(self._held)

    def returning(self, most: int) -> Returning:
        """Return which streams' rows are to be fetched beside the others, and from where on.

        Args:
            most: The most rows that may come.
        """
        streams = {
            stream: last_id
            for stream, last_id in self._left_out.items()
            if self._number(stream) <= self._most // 2
        }
        # What is taken and not deleted comes once more.
        limit = min(most, 2 * self._most * len(streams))
        return Returning(frozenset(streams), min(streams.values(), default=0), limit)

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
        last_ids = {event.stream: event.id for event in chosen}
        for stream in full:
            # Full, and so something was taken of it before or just now.
            last_id = last_ids.get(stream) or self._taken[stream].last_id
            if stream not in self._left_out:
                self._crowded += self._number(stream)
            self._left_out[stream] = last_id
        for stream in self._left_out.keys() & last_ids.keys():
            self._left_out[stream] = last_ids[stream]
        self._full = full
        return chosen

    def take(self, events: Sequence[PendingEvent]) -> None:
        """Count events as taken."""
        for event in events:
            stream = event.stream
            taken = self._taken.get(stream)
            if taken is None:
                self._taken[stream] = _Taken(1, event.id)
            else:
                taken.number += 1
                taken.last_id = event.id
            self._held.add(event.id)
            self._crowded += stream in self._left_out

    def let_in(self, streams: Iterable[str]) -> None:
        """Leave these out no longer, unless the last fetch brought more than could be taken."""
        self.drop(set(streams) - self._full)

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
