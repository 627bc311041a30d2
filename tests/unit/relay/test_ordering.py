"""Which rows may be sent and which of those sent may be deleted."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from relay.ordering import (
    MALFORMED,
    OUT_OF_ORDER,
    Offence,
    StreamOrder,
    acknowledged_prefixes,
)
from relay.outbox import PendingEvent


def pending(id_: int, stream: str, sequence: int, defect: str | None = None) -> PendingEvent:
    return PendingEvent(id_, f"event-{id_}", "topic", "key", stream, sequence, b"", [], 0.0, defect)


def ids(events: Sequence[PendingEvent]) -> list[int]:
    return [event.id for event in events]


def test_a_gap_upwards_is_legal() -> None:
    batch = [pending(1, "a", 1), pending(2, "a", 1_000_002)]

    sendable, offences = StreamOrder().vet(batch)

    assert (ids(sendable), offences) == ([1, 2], [])


def test_a_defect_blocks_the_rest_of_its_stream() -> None:
    batch = [pending(1, "a", 1), pending(2, "a", 2, "torn"), pending(3, "b", 1), pending(4, "a", 3)]

    sendable, offences = StreamOrder().vet(batch)

    assert ids(sendable) == [1, 3]
    assert offences == [Offence(batch[1], MALFORMED, "torn")]


def test_a_row_that_contradicts_its_ledger_row_blocks_the_streams_of_both() -> None:
    contradiction = PendingEvent(
        3, "event-3", "topic", "key", "a", 2, b"", [], 0.0, "contradiction", ledger_stream="b"
    )
    batch = [pending(1, "a", 1), pending(2, "b", 1), contradiction]
    behind = [pending(4, "a", 3), pending(5, "b", 2), pending(6, "c", 1)]

    sendable, offences = StreamOrder().vet([*batch, *behind])

    assert ids(sendable) == [1, 2, 6]
    assert offences == [Offence(contradiction, MALFORMED, "contradiction")]
    assert contradiction.streams == {"a", "b"}


def test_a_contradiction_behind_a_bad_event_still_blocks_the_other_stream() -> None:
    contradiction = PendingEvent(
        2, "event-2", "topic", "key", "a", 2, b"", [], 0.0, "contradiction", ledger_stream="b"
    )
    batch = [pending(1, "a", 1, "torn"), contradiction, pending(3, "b", 1)]

    sendable, offences = StreamOrder().vet(batch)

    assert sendable == []
    assert [offence.event for offence in offences] == batch[:2]


def test_a_sequence_already_published_is_refused() -> None:
    order = StreamOrder()
    order.note_published([pending(1, "a", 2)])

    sendable, offences = order.vet([again := pending(2, "a", 2), pending(3, "b", 1)])

    assert ids(sendable) == [3]
    assert offences == [Offence(again, OUT_OF_ORDER, "sequence 2 comes after 2")]


def test_a_sequence_that_is_still_in_flight_is_refused() -> None:
    order = StreamOrder()
    order.vet([pending(1, "a", 1), pending(2, "a", 2)])
    order.note_published([pending(1, "a", 1)])

    sendable, offences = order.vet([pending(3, "a", 2), pending(4, "b", 1)])

    assert ids(sendable) == [4]
    assert [offence.code for offence in offences] == [OUT_OF_ORDER]


def test_an_event_fetched_again_because_it_was_given_up_is_fine() -> None:
    order = StreamOrder()
    order.vet([pending(1, "a", 1), pending(2, "a", 2)])
    order.forget_sent()

    sendable, offences = order.vet([pending(1, "a", 1), pending(2, "a", 2)])

    assert (ids(sendable), offences) == ([1, 2], [])


def test_no_more_streams_are_remembered_than_allowed() -> None:
    order = StreamOrder(remembered_streams=2)
    order.note_published([pending(1, "a", 5), pending(2, "b", 5), pending(3, "c", 5)])

    _, offences = order.vet([pending(4, "a", 1), pending(5, "b", 1), pending(6, "c", 1)])

    assert [offence.event.stream for offence in offences] == ["b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40))
def test_only_the_acknowledged_prefix_of_each_stream_may_be_deleted(
    outcomes: list[tuple[str, bool]],
) -> None:
    batch = [pending(number, stream, number) for number, (stream, _) in enumerate(outcomes, 1)]
    acknowledged = {event.id for event, (_, acked) in zip(batch, outcomes, strict=True) if acked}

    prefix = acknowledged_prefixes(batch, acknowledged)

    for stream in "abcd":
        own = [event.id for event in batch if event.stream == stream]
        deleted = [event.id for event in prefix if event.stream == stream]
        assert deleted == own[: len(deleted)]
        assert acknowledged.issuperset(deleted)
        assert len(deleted) == len(own) or own[len(deleted)] not in acknowledged
