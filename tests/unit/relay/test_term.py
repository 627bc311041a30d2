"""A leader goes on whatever one topic, one broker or one client does."""

import logging
from collections.abc import Callable, Sequence
from typing import cast

import psycopg
import pytest

from relay.health import Role, Status
from relay.metrics import Metrics
from relay.pending_event import PendingEvent
from relay.publisher import ALONE, ONE_BY_ONE
from relay.settings import Settings
from relay.term import Term
from relay.topics import Topics
from tests.unit.relay.events import pending_event
from tests.unit.relay.fake_broker import TOO_LARGE, Answer
from tests.unit.relay.term_parts import FakeIntake, FakeKafka, FakeShutdown, FakeWakeUp
from tests.unit.relay.test_admin import Client

_SETTINGS = Settings(
    database_url="unused", kafka_bootstrap_servers="unused:9092", kafka_topic="ours"
)
_LOG = logging.getLogger("a client under test")


class SlowClient(Client):
    """Has connected when the second question is asked."""

    def __init__(self) -> None:
        super().__init__(deaf=True)

    def poll(self, timeout: float = -1) -> int:
        # Each question ends with it.
        self.deaf = False
        return 0


class Work:
    """One term and what it works with."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, pending: Sequence[PendingEvent], answer: Answer
    ) -> None:
        self.shutdown = FakeShutdown()
        self.intake = FakeIntake(pending)
        self.kafka = FakeKafka(answer, self.shutdown)
        monkeypatch.setattr("relay.term.Intake", lambda *_: self.intake)
        monkeypatch.setattr("relay.publisher.KafkaClient", self.kafka.client)
        monkeypatch.setattr("relay.publisher._AFTER_ERROR_SECONDS", 0.0)
        monkeypatch.setattr("relay.publisher._SILENT_SECONDS", 0.0)
        self._term = Term(
            cast(psycopg.Connection, None),
            _SETTINGS,
            topics=Topics(_SETTINGS, _LOG),
            wakeup=FakeWakeUp(self.shutdown),
            shutdown=self.shutdown,
            status=Status(Role.LEADER),
            metrics=Metrics(),
            client_log=_LOG,
        )

    def serve(self) -> None:
        self._term.serve()


Begin = Callable[..., Work]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Return what makes a term, of the events pending and how Kafka answers them."""
    monkeypatch.setattr("relay.topics.AdminClient", lambda *_, **__: Client(deaf=False))
    return lambda *args: Work(monkeypatch, *args)


def test_events_of_a_former_topic_go_though_no_client_is_answered_at_once(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.topics.AdminClient", lambda *_, **__: SlowClient())
    work = begin([pending_event(1)], lambda _id: "")

    work.serve()

    assert work.intake.published == [1]


def test_no_trial_lives_on_while_publishing_pauses(begin: Begin) -> None:
    """Nobody would read what its client logs; an outage may last for hours."""
    work = begin([pending_event(1), pending_event(2)], lambda _id: None)
    kafka = work.kafka

    def answer(id_: int) -> str | None:
        alone = any(each.options.items() >= ALONE.items() for each in kafka.open)
        if id_ == 1:
            return None if alone else TOO_LARGE
        # Once there is a trial, everything else is in trouble.
        return "_TRANSPORT" if alone else None

    kafka.answer = answer
    on_pause: list[int] = []
    work.shutdown.on_pause = lambda: on_pause.append(len(kafka.open))

    work.serve()

    assert any(options.items() >= ALONE.items() for options in kafka.made)
    assert on_pause
    assert not any(on_pause)


def test_what_failed_is_tried_though_an_earlier_event_is_never_answered(begin: Begin) -> None:
    """Its broker hangs, and the others do not: they would go one by one for as long."""
    work = begin(
        [pending_event(100), pending_event(150)], lambda id_: TOO_LARGE if id_ == 150 else None
    )

    work.serve()

    assert work.intake.blocked == [150]
    assert [options.items() >= ONE_BY_ONE.items() for options in work.kafka.made][:3] == [
        False,
        True,
        False,
    ]


def test_what_failed_and_is_gone_is_not_waited_for(begin: Begin) -> None:
    """An operator may have skipped it, or another term published it."""
    work = begin(
        [pending_event(100), pending_event(150)], lambda id_: TOO_LARGE if id_ == 150 else None
    )
    made = work.kafka.made

    def answer(id_: int) -> str | None:
        if len(made) == 1 and id_ == 150:
            work.intake.skip(150)
            return TOO_LARGE
        return None

    work.kafka.answer = answer
    work.serve()

    assert [options.items() >= ONE_BY_ONE.items() for options in made] == [False, True, False]
