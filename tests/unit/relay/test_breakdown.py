"""Whom reports of failed messages speak against, and which of them may be tried alone."""

from collections import Counter

from relay.breakdown import Breakdown, Failure
from relay.pending_event import PendingEvent

_TOO_LARGE = "MSG_SIZE_TOO_LARGE"


def failure(id_: int, code: str) -> Failure:
    event = PendingEvent(
        id_, f"event-{id_}", "topic", "key", f"stream-{id_}", 1, b"", [], 0.0, None
    )
    return Failure(code, f"detail of {id_}", event)


def test_what_may_lie_in_a_message_is_no_trouble_of_kafka() -> None:
    ended = Breakdown([failure(2, _TOO_LARGE), failure(1, _TOO_LARGE)])

    assert ended.trouble is None
    assert [suspect.id for suspect in ended.suspects] == [1, 2]


def test_what_the_client_gave_up_with_a_suspect_is_neither_suspect_nor_trouble() -> None:
    ended = Breakdown([failure(5, "_PURGE_QUEUE"), failure(1, _TOO_LARGE), failure(6, "_FATAL")])

    assert ended.trouble is None
    assert [suspect.id for suspect in ended.suspects] == [1]
    assert ended.codes == Counter({_TOO_LARGE: 1})
    assert ended.told == {
        "code": _TOO_LARGE,
        "detail": "detail of 1",
        "failed": 3,
        "event_id": "event-1",
        "stream": "stream-1",
    }


def test_one_error_that_is_nobodys_fault_acquits_every_suspect() -> None:
    ended = Breakdown([failure(1, _TOO_LARGE), failure(2, "TOPIC_AUTHORIZATION_FAILED")])

    assert ended.trouble is not None
    assert ended.trouble.code == "TOPIC_AUTHORIZATION_FAILED"


def test_a_client_that_ended_by_itself_is_trouble_told_by_its_own_name() -> None:
    fatal = Failure("OUT_OF_ORDER_SEQUENCE_NUMBER", "ended")

    for ended in (Breakdown([fatal]), Breakdown([failure(1, "_PURGE_QUEUE"), fatal])):
        assert ended.trouble is not None
        assert ended.trouble.code == fatal.code
        assert ended.codes == Counter({fatal.code: 1})
        assert ended.told["code"] == fatal.code
        assert "event_id" not in ended.told


def test_messages_given_up_without_a_cause_are_trouble_all_the_same() -> None:
    ended = Breakdown([failure(1, "_PURGE_INFLIGHT")])

    assert ended.trouble is not None
    assert ended.trouble.code == "_PURGE_INFLIGHT"
