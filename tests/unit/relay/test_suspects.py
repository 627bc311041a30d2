"""What becomes of a suspect's stream when its trial has ended, and what is suspected at all."""

from collections.abc import Sequence

import pytest

from relay.breakdown import Breakdown, Failure
from relay.errors import BrokerTrouble
from relay.intake import Intake
from relay.metrics import Metrics
from relay.ordering import Offence
from relay.pending_event import PendingEvent
from relay.suspects import Suspects
from tests.unit.relay.events import pending_event
from tests.unit.relay.fake_broker import TOO_LARGE, FakeBroker

_REFUSED = "TOPIC_AUTHORIZATION_FAILED"


class FakeIntake(Intake):
    """Has no database, and notes what it is told."""

    def __init__(self) -> None:
        self.deleted: list[int] = []
        self.blocked: list[tuple[int, str]] = []
        self.trusted: list[str] = []

    def delete(self, acknowledged: Sequence[PendingEvent]) -> None:
        self.deleted += [event.id for event in acknowledged]

    def block(self, offence: Offence) -> None:
        self.blocked.append((offence.event.id, offence.code))

    def trust(self, stream: str) -> None:
        self.trusted.append(stream)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


@pytest.fixture
def suspects(intake: FakeIntake, broker: FakeBroker) -> Suspects:
    return Suspects(intake, Metrics(), broker.sender)


def test_one_that_is_guilty_blocks_its_stream_and_one_that_is_acknowledged_frees_it(
    suspects: Suspects, intake: FakeIntake, broker: FakeBroker
) -> None:
    broker.answer = lambda id_: TOO_LARGE if id_ == 1 else ""
    suspects.judge(_breakdown(1, 2), one_by_one=True)
    before = suspects.streams

    troubles = [suspects.go_on() for _ in range(3)]

    assert before == ["stream-1", "stream-2"]
    assert troubles == [None] * 3
    assert (intake.blocked, intake.deleted) == ([(1, TOO_LARGE)], [2])
    assert (intake.trusted, suspects.streams) == (["stream-2"], [])


def test_trouble_that_a_trial_meets_is_told_with_its_event_which_is_trusted_then(
    suspects: Suspects, intake: FakeIntake, broker: FakeBroker
) -> None:
    """Its topic may have gone meanwhile: that is for others to find, and no other waits for it."""
    broker.answer = lambda id_: _REFUSED if id_ == 1 else TOO_LARGE
    suspects.judge(_breakdown(1, 2), one_by_one=True)

    troubles = [suspects.go_on() for _ in range(3)]

    assert troubles == [None, Failure(_REFUSED, "refused", pending_event(1)), None]
    assert (intake.trusted, intake.blocked) == (["stream-1"], [(2, TOO_LARGE)])
    assert suspects.streams == []


def test_what_failed_one_by_one_is_tried_though_there_is_trouble(suspects: Suspects) -> None:
    """That of one of several brokers may last for hours."""
    with pytest.raises(BrokerTrouble):
        suspects.judge(_in_trouble(1), one_by_one=True)

    assert suspects.streams == ["stream-1"]


def test_what_failed_with_a_batch_is_sent_one_by_one_first(suspects: Suspects) -> None:
    suspects.judge(_breakdown(1, 7), one_by_one=False)

    assert (suspects.together, suspects.streams) == (frozenset({1, 7}), [])


def test_of_what_failed_together_each_is_gone_through_that_was_answered_by_itself(
    suspects: Suspects,
) -> None:
    suspects.judge(_breakdown(1, 2, 7), one_by_one=False)

    suspects.note_answered([pending_event(2), pending_event(3)])
    acknowledged = suspects.together
    with pytest.raises(BrokerTrouble):
        suspects.judge(_in_trouble(1), one_by_one=True)

    assert (acknowledged, suspects.together) == (frozenset({1, 7}), frozenset({7}))


def _breakdown(*ids: int) -> Breakdown:
    return Breakdown([Failure(TOO_LARGE, "refused", pending_event(id_)) for id_ in ids])


def _in_trouble(*ids: int) -> Breakdown:
    return Breakdown([*_breakdown(*ids).failures, Failure("_TIMED_OUT", "not acknowledged")])
