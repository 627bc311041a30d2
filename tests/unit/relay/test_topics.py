"""Which topics can be sent to, by what a broker answers; what only it can answer is faked."""

import logging
from types import SimpleNamespace

import pytest

from relay.errors import BrokerTrouble
from relay.settings import Settings
from relay.topics import Topics

_SETTINGS = Settings(
    database_url="unused", kafka_bootstrap_servers="unused:9092", kafka_topic="ours"
)


class Error:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def str(self) -> str:
        return "as Kafka puts it"


class Admin:
    """A cluster that answers for each topic with one error, or none."""

    def __init__(self, answers: dict[str, str | None]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def list_topics(self, name: str, timeout: float) -> SimpleNamespace:
        self.asked.append(name)
        code = self._answers[name]
        return SimpleNamespace(topics={name: SimpleNamespace(error=code and Error(code))})

    def poll(self, timeout: float) -> int:
        return 0


def topics_of(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str | None]) -> Topics:
    monkeypatch.setattr("relay.topics.AdminClient", lambda *_, **__: Admin(answers))
    return Topics(_SETTINGS, logging.getLogger("a client under test"))


@pytest.mark.parametrize(
    "code", ["UNKNOWN_TOPIC_OR_PART", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_EXCEPTION"]
)
def test_a_former_topic_that_is_not_for_us_is_no_trouble_of_kafka(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    assert not topics_of(monkeypatch, {"former": code}).can_be_sent_to("former")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ours", "TOPIC_AUTHORIZATION_FAILED"),
        ("ours", "UNKNOWN_TOPIC_OR_PART"),
        ("former", "LEADER_NOT_AVAILABLE"),
    ],
)
def test_a_configured_topic_is_never_given_up_nor_one_that_kafka_cannot_tell_of(
    monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    with pytest.raises(BrokerTrouble, match=code):
        topics_of(monkeypatch, {name: code}).can_be_sent_to(name)


def test_a_topic_that_may_be_seen_and_not_written_to_is_refused_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topics = topics_of(monkeypatch, {"former": None, "ours": None})

    topics.note_refused(BrokerTrouble("TOPIC_AUTHORIZATION_FAILED", "no", "former"))
    topics.note_refused(BrokerTrouble("TOPIC_AUTHORIZATION_FAILED", "no", "ours"))
    topics.note_refused(BrokerTrouble("_TRANSPORT", "away", "former"))

    told = [topics.can_be_sent_to(name) for name in ("former", "ours", "former")]
    assert told == [False, True, True]
