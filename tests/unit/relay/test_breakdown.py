"""Whom reports of failed messages speak against, and which of them may be tried alone."""

from collections import Counter

from relay.breakdown import Breakdown, Failure
from relay.errors import BrokerTrouble
from relay.outbox import PendingEvent

_TOO_LARGE = "MSG_SIZE_TOO_LARGE"


def event(id_: int, stream: str = "a") -> PendingEvent:
    return PendingEvent(id_, f"event-{id_}", "topic", "key", stream, id_, b"", [], 0.0, None)


def failure(id_: int, code: str, stream: str = "a") -> Failure:
    return Failure(event(id_, stream), code, f"detail of {id_}")


def breakdown(*failures: Failure, fatal: BrokerTrouble | None = None) -> Breakdown:
    first: dict[str, PendingEvent] = {}
    for each in failures:
        first.setdefault(each.event.stream, each.event)
    return Breakdown(failures, fatal, tuple(first.values()))


def test_what_may_lie_in_a_message_is_no_trouble_of_kafka() -> None:
    ended = breakdown(failure(1, _TOO_LARGE), failure(2, _TOO_LARGE, "b"))

    assert ended.trouble is None
    assert [suspect.id for suspect in ended.suspects] == [1, 2]


def test_only_the_first_of_a_stream_may_be_tried_alone() -> None:
    ended = breakdown(failure(1, _TOO_LARGE), failure(2, _TOO_LARGE), failure(3, _TOO_LARGE, "b"))

    assert [suspect.id for suspect in ended.suspects] == [1, 3]
    assert ended.last_suspect_id == 3


def test_what_the_client_gave_up_with_a_suspect_is_neither_suspect_nor_trouble() -> None:
    fatal = BrokerTrouble("_GAPLESS_GUARANTEE", "ended")
    ended = breakdown(
        failure(5, "_PURGE_QUEUE", "b"), failure(1, _TOO_LARGE), failure(6, "_FATAL"), fatal=fatal
    )

    assert ended.trouble is None
    assert [suspect.id for suspect in ended.suspects] == [1]
    assert ended.codes == Counter({_TOO_LARGE: 1})
    assert ended.told == {
        "code": _TOO_LARGE,
        "detail": "detail of 1",
        "failed": 3,
        "event_id": "event-1",
        "stream": "a",
    }


def test_one_error_that_is_nobodys_fault_acquits_every_suspect() -> None:
    ended = breakdown(failure(1, _TOO_LARGE), failure(2, "TOPIC_AUTHORIZATION_FAILED", "b"))

    assert ended.trouble is not None
    assert ended.trouble.code == "TOPIC_AUTHORIZATION_FAILED"
    assert ended.last_suspect_id == 1


def test_a_client_that_ended_by_itself_is_trouble_told_by_its_own_name() -> None:
    fatal = BrokerTrouble("OUT_OF_ORDER_SEQUENCE_NUMBER", "ended")

    for ended in (breakdown(fatal=fatal), breakdown(failure(1, "_PURGE_QUEUE"), fatal=fatal)):
        assert ended.trouble is fatal
        assert ended.codes == Counter({"OUT_OF_ORDER_SEQUENCE_NUMBER": 1})
        assert ended.told["code"] == "OUT_OF_ORDER_SEQUENCE_NUMBER"


def test_messages_given_up_without_a_cause_are_trouble_all_the_same() -> None:
    ended = breakdown(failure(1, "_PURGE_INFLIGHT"))

    assert ended.trouble is not None
    assert ended.trouble.code == "_PURGE_INFLIGHT"


def test_a_suspect_behind_an_event_that_may_still_arrive_is_trouble() -> None:
    """Nothing may be sent alone past what its stream waits for."""
    ended = Breakdown([failure(2, _TOO_LARGE)], None, [event(1)])

    assert ended.suspects == []
    assert ended.trouble is not None
