"""Which rows may be sent, and which block their stream."""

from collections.abc import Sequence

from relay.ordering import MALFORMED, OUT_OF_ORDER, Offence, StreamOrder
from relay.pending_event import PendingEvent


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
