"""Suspects are tried alone, and none of them has to wait for one that is given no answer."""

import pytest

from relay.breakdown import Failure
from relay.trial import Outcome
from relay.trials import Trials
from tests.unit.relay.clock import Clock
from tests.unit.relay.events import pending_event
from tests.unit.relay.fake_broker import TOO_LARGE, FakeBroker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def trials(broker: FakeBroker, clock: Clock) -> Trials:
    return Trials(broker.sender, clock)


def test_one_that_is_refused_twice_is_guilty(trials: Trials, broker: FakeBroker) -> None:
    trials.add([pending_event(1)])

    verdicts = [trials.look() for _ in range(3)]

    assert [len(each) for each in verdicts] == [0, 0, 1]
    assert verdicts[2][0].outcome is Outcome.GUILTY
    assert verdicts[2][0].failure == Failure(TOO_LARGE, "refused", pending_event(1))
    assert (broker.sent, broker.open, trials.events) == ([1, 1], 0, [])


def test_one_that_is_acknowledged_is_not(trials: Trials, broker: FakeBroker) -> None:
    broker.answer = lambda _id: ""
    trials.add([pending_event(1)])

    verdicts = _looked(trials, 2)

    assert verdicts == {1: [Outcome.ACKNOWLEDGED]}
    assert (broker.sent, broker.open, trials.events) == ([1], 0, [])


def test_trouble_is_told_and_its_event_suspected_no_more(
    trials: Trials, broker: FakeBroker
) -> None:
    broker.answer = lambda _id: "TOPIC_AUTHORIZATION_FAILED"
    trials.add([pending_event(1)])

    trials.look()
    [verdict] = trials.look()

    assert (verdict.outcome, verdict.event.id) == (Outcome.TROUBLE, 1)
    assert verdict.failure is not None
    assert verdict.failure.event == verdict.event
    assert trials.events == []


@pytest.mark.parametrize("silent", [1, 3, 4, 20], ids=lambda number: f"{number}-silent")
def test_none_waits_for_long_for_those_that_are_given_no_answer(
    silent: int, trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    broker.answer = lambda id_: None if id_ <= silent else TOO_LARGE
    trials.add([pending_event(id_) for id_ in range(1, 61)])

    guilty: set[int] = set()
    for _ in range(30 * 10):
        guilty |= {v.event.id for v in trials.look() if v.outcome is Outcome.GUILTY}
        clock.now += 0.1

    assert guilty == set(range(silent + 1, 61))
    assert trials.silent == silent
    assert broker.most_open <= 4


def test_a_new_one_is_tried_at_once_though_many_are_silent(
    trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    broker.answer = lambda id_: None if id_ <= 20 else TOO_LARGE
    trials.add([pending_event(id_) for id_ in range(1, 21)])
    _looked(trials, 120, clock)

    trials.add([pending_event(21)])
    verdicts = _looked(trials, 3)

    assert verdicts == {21: [Outcome.GUILTY]}


def test_one_that_was_silent_once_does_not_wait_for_those_that_were_silent_for_long(
    trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    """Electing the leader of a partition takes some seconds; a broker may hang for hours."""
    broker.answer = lambda _id: None
    trials.add([pending_event(id_) for id_ in range(1, 61)])
    _looked(trials, 3_600, clock)

    trials.add([pending_event(100)])
    at_first = _looked(trials, 10, clock)
    broker.answer = lambda id_: TOO_LARGE if id_ == 100 else None
    verdicts = _looked(trials, 5, clock)

    assert at_first[100] == [Outcome.SILENT]
    assert verdicts[100] == [Outcome.GUILTY]
    assert broker.most_open <= 4


def test_one_that_is_silent_has_twice_the_patience_the_next_time_within_bounds(
    trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    broker.answer = lambda _id: None
    trials.add([pending_event(1)])
    began = clock.now
    silent_at = []

    for _ in range(1_200):
        if trials.look():
            silent_at.append(clock.now - began)
        clock.now += 1.0

    patience = [5, 10, 20, 40, 80, 160, 240, 240, 240]
    assert silent_at == [sum(patience[: number + 1]) for number in range(len(patience))]
    assert (len(trials.events), broker.open) == (1, 1)


def test_one_that_needs_longer_than_the_first_patience_is_decided_all_the_same(
    trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    """150 kB at 20 kB/s are 7.5 s."""
    sent_at: dict[int, float] = {}

    def answer(_id: int) -> str | None:
        began = sent_at.setdefault(len(broker.sent), clock.now)
        return TOO_LARGE if clock.now - began >= 7.5 else None

    broker.answer = answer
    trials.add([pending_event(1)])

    verdicts = _looked(trials, 60, clock, seconds=0.5)

    assert verdicts == {1: [Outcome.SILENT, Outcome.GUILTY]}


def test_what_is_under_way_at_the_end_is_given_up_and_not_decided(
    trials: Trials, broker: FakeBroker
) -> None:
    broker.answer = lambda id_: None if id_ == 1 else ""
    trials.add([pending_event(id_) for id_ in range(1, 10)])
    trials.look()

    settled = trials.settle()
    trials.end()

    assert [verdict.event.id for verdict in settled] == [2, 3, 4]
    assert (broker.sent, broker.open) == ([1, 2, 3, 4], 0)


def test_who_was_silent_for_long_is_looked_at_less_often(
    trials: Trials, broker: FakeBroker, clock: Clock
) -> None:
    broker.answer = lambda _id: None
    nothing = trials.look_again_seconds
    trials.add([pending_event(1)])
    pauses = [trials.look_again_seconds]
    _looked(trials, 600, clock)

    pauses.append(trials.look_again_seconds)
    trials.add([pending_event(2)])
    pauses.append(trials.look_again_seconds)
    trials.look()
    pauses.append(trials.look_again_seconds)

    assert nothing == float("inf")
    assert pauses == [0.05, 2.4, 0.05, 0.05]


def test_what_is_taken_back_is_tried_again_in_turn_and_has_not_been_silent(
    trials: Trials, broker: FakeBroker
) -> None:
    broker.answer = lambda _id: None
    trials.add([pending_event(id_) for id_ in range(1, 7)])
    trials.look()

    trials.take_back()
    open_meanwhile = broker.open
    trials.look()

    assert open_meanwhile == 0
    assert broker.sent == [1, 2, 3, 4, 5, 6, 1, 2]
    assert (trials.silent, len(trials.events)) == (0, 6)


def test_settling_sends_nothing_once_more(trials: Trials, broker: FakeBroker) -> None:
    trials.add([pending_event(1)])
    trials.look()

    settled = [trials.settle() for _ in range(3)]
    sent = list(broker.sent)

    assert (settled, sent) == ([[]] * 3, [1])
    assert _looked(trials, 2) == {1: [Outcome.GUILTY]}


def _looked(
    trials: Trials, times: int, clock: Clock | None = None, seconds: float = 1.0
) -> dict[int, list[Outcome]]:
    """Return what was decided of each."""
    verdicts: dict[int, list[Outcome]] = {}
    for _ in range(times):
        for verdict in trials.look():
            verdicts.setdefault(verdict.event.id, []).append(verdict.outcome)
        if clock is not None:
            clock.now += seconds
    return verdicts
