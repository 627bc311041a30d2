"""One event of each stream is under way at a time: what the order of a stream rests on.

The promise: an event is handed to Kafka only when the event before it in its stream is known to
stand in the log. So whatever fails, whoever repeats it and however late it arrives, a consumer that
reads a stream for the first time never finds a number above the next one.

It rests on nothing else: not on what a broker remembers of a producer (it forgets with the topic,
and accepts any number of a producer it does not know), not on what the client does with the
requests behind one that failed (those already built go out). Both were seen to bring an event
before its predecessor. Streams do not wait for each other, so thousands of events are under way
together; the backlog of a single stream moves by one event a round trip, and no more than a few of
it are taken at a time (``backlogs.py``).
"""

from collections import deque
from collections.abc import Iterable

from relay.pending_event import PendingEvent


class Lanes:
    """A lane for each stream that has anything under way."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._behind: dict[str, deque[PendingEvent]] = {}
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many events wait for one before them."""
        return self._waiting

    def enter(self, events: Iterable[PendingEvent]) -> list[PendingEvent]:
        """Return those that may go at once, in order; the others wait behind one of their stream.

        Args:
            events: In the order of each stream, none of them entered before.
        """
        free = []
        for event in events:
            stream = event.stream
            if stream not in self._taken:
                self._taken.add(stream)
                free.append(event)
                continue
            self._behind.setdefault(stream, deque()).append(event)
            self._waiting += 1
        return free

    def leave(self, events: Iterable[PendingEvent]) -> list[PendingEvent]:
        """Return those that may go now that ``events`` stand in the log.

        The lane of an event that failed is never left: what is behind it stays there.
        """
        freed = []
        for event in events:
            stream = event.stream
            behind = self._behind.get(stream)
            if behind is None:
                self._taken.discard(stream)
                continue
            freed.append(behind.popleft())
            self._waiting -= 1
            if not behind:
                del self._behind[stream]
        return freed
