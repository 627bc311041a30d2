"""A stream with a backlog leaves room for others, and none of its rows is forgotten."""

from relay.backlogs import Backlogs
from relay.outbox import Wanted
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
    early = backlogs.returning(100)
    backlogs.settle(events("hot", 2))

    assert early == {}
    assert backlogs.returning(100) == {"hot": Wanted(behind=4, at_most=2)}


def test_a_stream_is_let_in_only_when_a_fetch_brought_less_of_it_than_was_wanted() -> None:
    backlogs = Backlogs(most_waiting=4)
    fetched(backlogs, events("hot", *range(1, 10)))
    backlogs.settle(events("hot", 1, 2))
    wanted = backlogs.returning(100)

    assert fetched(backlogs, events("hot", 5, 6)) == [5, 6]
    backlogs.let_in(wanted, events("hot", 5, 6))
    assert backlogs.left_out == {"hot": 6}
    backlogs.settle(events("hot", 3, 4, 5, 6))
    wanted = backlogs.returning(100)
    assert fetched(backlogs, events("hot", 7, 8, 9)) == [7, 8, 9]
    backlogs.let_in(wanted, events("hot", 7, 8, 9))
    assert not backlogs.left_out
    assert backlogs.spread == 3


def test_streams_that_return_share_what_there_is_room_for_the_emptiest_first() -> None:
    backlogs = Backlogs(most_waiting=4)
    for first in (0, 10, 20):
        fetched(backlogs, events(f"from-{first}", *range(first + 1, first + 10)))
    backlogs.settle(events("from-0", 1, 2) + events("from-10", 11, 12, 13, 14))
    backlogs.settle(events("from-20", 21, 22, 23))

    turns = [list(backlogs.returning(1)) for _ in range(4)]
    shared = backlogs.returning(4)

    assert turns == [["from-10"]] * 4
    assert shared == {
        "from-10": Wanted(behind=14, at_most=2),
        "from-20": Wanted(behind=24, at_most=1),
        "from-0": Wanted(behind=4, at_most=1),
    }


def test_among_those_that_are_equally_empty_each_has_its_turn() -> None:
    backlogs = Backlogs(most_waiting=4)
    for first in (0, 10, 20):
        ids = range(first + 1, first + 10)
        fetched(backlogs, events(f"from-{first}", *ids))
        backlogs.settle(events(f"from-{first}", *ids))

    turns = [stream for _ in range(6) for stream in backlogs.returning(1)]

    assert turns == ["from-0", "from-10", "from-20"] * 2


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


def test_a_stream_that_is_left_out_and_has_nothing_under_way_takes_no_room() -> None:
    backlogs = Backlogs(most_waiting=4)
    fetched(backlogs, events("hot", *range(1, 10)))

    backlogs.settle(events("hot", 1, 2, 3, 4))

    assert backlogs.left_out == {"hot": 4}
    assert backlogs.spread == 0
