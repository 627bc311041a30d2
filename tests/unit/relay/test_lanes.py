"""Whatever is acknowledged or fails, and when: nothing is sent before what stands before it."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from relay.lanes import Lanes
from relay.pending_event import PendingEvent


def event(id_: int, stream: str) -> PendingEvent:
    return PendingEvent(id_, f"event-{id_}", "topic", "key", stream, id_, b"", [], 0.0, None)


def ids(events: list[PendingEvent]) -> list[int]:
    return [each.id for each in events]


def test_the_second_event_of_a_stream_waits_for_the_first_and_no_other() -> None:
    lanes = Lanes()
    first, other, second, third = event(1, "a"), event(2, "b"), event(3, "a"), event(4, "a")

    free = lanes.enter([first, other, second, third])

    assert (ids(free), lanes.waiting) == ([1, 2], 2)
    assert ids(lanes.leave([other])) == []
    assert ids(lanes.leave([first])) == [3]
    assert ids(lanes.leave([second])) == [4]
    assert ids(lanes.leave([third])) == []
    assert lanes.waiting == 0


def test_a_stream_that_is_through_is_free_again() -> None:
    lanes = Lanes()
    lanes.enter([event(1, "a")])
    lanes.leave([event(1, "a")])

    free = lanes.enter([event(2, "a"), event(3, "a")])

    assert (ids(free), lanes.waiting) == ([2], 1)


@given(
    st.lists(st.sampled_from("abc"), max_size=30),
    st.data(),
)
def test_an_event_goes_only_when_all_before_it_stand_in_the_log(
    streams: list[str], data: st.DataObject
) -> None:
    lanes = Lanes()
    pending = [event(id_, stream) for id_, stream in enumerate(streams, 1)]
    under_way: list[PendingEvent] = []
    sent: dict[str, list[int]] = defaultdict(list)
    logged: dict[str, list[int]] = defaultdict(list)
    failed: set[str] = set()

    def send(freed: list[PendingEvent]) -> None:
        for each in freed:
            assert sent[each.stream] == logged[each.stream], "its predecessor is not in the log"
            assert each.stream not in failed
            sent[each.stream].append(each.id)
            under_way.append(each)

    while pending or under_way:
        if pending and (not under_way or data.draw(st.booleans())):
            taken = data.draw(st.integers(1, len(pending)))
            send(lanes.enter(pending[:taken]))
            del pending[:taken]
            continue
        settled = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        if data.draw(st.booleans()):
            failed.add(settled.stream)
        else:
            logged[settled.stream].append(settled.id)
            send(lanes.leave([settled]))

    for stream in set(streams) - failed:
        own = [id_ for id_, each in enumerate(streams, 1) if each == stream]
        assert logged[stream] == own
