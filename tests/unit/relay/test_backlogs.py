"""A stream with a backlog leaves room for others, and none of its rows is forgotten."""

from relay.backlogs import Backlogs
from relay.pending_event import PendingEvent


def events(stream: str, *ids: int) -> list[PendingEvent]:
    return [PendingEvent(id_, "", "", "", stream, id_, b"", [], 0.0, None) for id_ in ids]


def fetched(backlogs: Backlogs, rows: list[PendingEvent]) -> list[int]:
    taken = backlogs.choose(rows)
    backlogs.take(taken)
    return [event.id for event in taken]


def test_no_more_of_a_stream_is_taken_than_allowed_and_it_is_left_out() -> None:
    backlogs = Backlogs(most_waiting=4)

    taken = fetched(backlogs, events("hot", *range(1, 10)) + events("other", 10))

    assert taken == [1, 2, 3, 4, 10]
    assert backlogs.left_out == {"hot": 4}
    assert backlogs.spread == 2


def test_a_stream_that_was_left_out_is_fetched_on_when_half_of_it_is_through() -> None:
    backlogs = Backlogs(most_waiting=4)
    fetched(backlogs, events("hot", *range(1, 10)))

    backlogs.settle(events("hot", 1))
    early = backlogs.returning(100).streams
    backlogs.settle(events("hot", 2))
    returning = backlogs.returning(100)

    assert early == frozenset()
    assert (returning.streams, returning.above) == (frozenset({"hot"}), 4)


def test_a_stream_is_let_in_only_when_a_fetch_brought_no_more_of_it_than_was_taken() -> None:
    backlogs = Backlogs(most_waiting=4)
    fetched(backlogs, events("hot", *range(1, 10)))
    backlogs.settle(events("hot", 1, 2))

    assert fetched(backlogs, events("hot", 5, 6, 7)) == [5, 6]
    backlogs.let_in({"hot"})
    assert backlogs.left_out == {"hot": 6}
    backlogs.settle(events("hot", 3, 4, 5, 6))
    assert fetched(backlogs, events("hot", 7, 8, 9)) == [7, 8, 9]
    backlogs.let_in({"hot"})
    assert not backlogs.left_out
    assert backlogs.spread == 3


def test_what_is_fetched_a_second_time_is_not_taken_again() -> None:
    backlogs = Backlogs(most_waiting=4)
    fetched(backlogs, events("a", 1, 2) + events("b", 3))
    backlogs.settle(events("a", 1))

    backlogs.let_all_in()

    assert fetched(backlogs, events("a", 2) + events("b", 3) + events("a", 4)) == [4]


def test_what_waits_in_streams_that_are_left_out_is_held_all_the_same() -> None:
    backlogs = Backlogs(most_waiting=4)
    for number in range(3):
        fetched(backlogs, events(f"hot-{number}", *range(10 * number + 1, 10 * number + 9)))

    before = backlogs.held
    backlogs.settle(events("hot-0", 1, 2))

    assert (before, backlogs.held, backlogs.spread) == (12, 10, 3)
