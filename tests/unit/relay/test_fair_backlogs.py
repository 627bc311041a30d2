"""Streams with long backlogs, one behind the other in the outbox, move at the same pace."""

from collections import deque

import pytest

from relay.backlogs import Backlogs
from relay.pending_event import PendingEvent

# As the term has them.
_BATCHES_IN_FLIGHT, _MOST_BATCHES_HELD = 4, 10
_STREAMS, _LENGTH = 60, 600


class Relay:
    """Fetches as the relay does, where there is room; of each stream one event moves a round."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._backlogs = Backlogs()
        self._outbox = {f"{number}": _contiguous(number) for number in range(_STREAMS)}
        self._above = deque(event for rows in self._outbox.values() for event in rows)
        self._taken: dict[str, deque[PendingEvent]] = {name: deque() for name in self._outbox}
        self.moved = dict.fromkeys(self._outbox, 0)

    def round(self) -> None:
        if (
            self._backlogs.spread < _BATCHES_IN_FLIGHT * self._batch_size
            and self._backlogs.held < _MOST_BATCHES_HELD * self._batch_size
        ):
            self._fetch()
        for stream, taken in self._taken.items():
            if taken:
                self._backlogs.settle([taken.popleft()])
                self.moved[stream] += 1

    def _fetch(self) -> None:
        returning = self._backlogs.returning(self._batch_size)
        left_out = set(self._backlogs.left_out)
        window: list[PendingEvent] = []
        while self._above and len(window) < self._batch_size:
            event = self._above.popleft()
            if event.stream not in left_out:
                window.append(event)
        beside = [
            event
            for stream, wanted in returning.items()
            for event in self._outbox[stream][wanted.behind : wanted.behind + wanted.at_most]
        ]
        assert len(beside) <= self._batch_size
        fetched = sorted(window + beside, key=lambda event: event.id)
        chosen = self._backlogs.choose(fetched)
        self._backlogs.take(chosen)
        self._backlogs.let_in(returning, fetched)
        for event in chosen:
            taken = self._taken[event.stream]
            assert event.sequence == self.moved[event.stream] + len(taken) + 1
            taken.append(event)


def _contiguous(number: int) -> list[PendingEvent]:
    """Return the events of a stream whose rows lie above those of the streams before it."""
    first = number * _LENGTH
    return [
        PendingEvent(first + sequence, "", "", "", f"{number}", sequence, b"", [], 0.0, None)
        for sequence in range(1, _LENGTH + 1)
    ]


@pytest.mark.parametrize("batch_size", [40, 100, 2_000])
def test_no_stream_waits_for_the_backlogs_of_those_before_it(batch_size: int) -> None:
    relay = Relay(batch_size)
    # Until all were seen once.
    for _ in range(300):
        relay.round()
    before = dict(relay.moved)

    for _ in range(200):
        relay.round()

    moved = [relay.moved[stream] - before[stream] for stream in before]
    assert min(moved) > 0.7 * max(moved)
    # As many as can: one of each stream a round, or a batch in all.
    assert sum(moved) > 0.9 * 200 * min(_STREAMS, batch_size)


@pytest.mark.parametrize("batch_size", [1, 40, 2_000])
def test_all_that_is_pending_is_taken_in_the_order_of_each_stream(batch_size: int) -> None:
    relay = Relay(batch_size)
    for _ in range(_STREAMS * _LENGTH + 100):
        relay.round()
        if sum(relay.moved.values()) == _STREAMS * _LENGTH:
            break

    assert set(relay.moved.values()) == {_LENGTH}
