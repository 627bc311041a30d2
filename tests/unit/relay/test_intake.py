"""When fetches begin at the lowest id again because suspects were acquitted."""

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest

from relay.floor import Window
from relay.intake import Intake
from relay.metrics import Metrics
from relay.pending_event import PendingEvent
from tests.unit.relay.clock import Clock
from tests.unit.relay.events import pending_event

_BATCH = 2


class Fetches:
    """The fetches of an intake, which always find as much as they may bring.

    Attributes:
        begun_at: Above which id each began.
        left_out: The streams that each passed over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begun_at: list[int] = []
        self.left_out: list[Collection[str]] = []

    def request(
        self,
        _session: object,
        _acknowledged: Sequence[int],
        window: Window,
        left_out: Collection[str],
        *_: object,
    ) -> "FakeRequest":
        self.begun_at.append(window.above)
        self.left_out.append(left_out)
        return FakeRequest(window.above, self._clock.now)


class FakeRequest:
    """The answer to one fetch."""

    def __init__(self, above: int, sent_at: float) -> None:
        self._above = above
        self.sent_at = sent_at

    def result(self) -> list[PendingEvent]:
        return [pending_event(self._above + 1 + number) for number in range(_BATCH)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("relay.intake.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Fetches:
    fetches = Fetches(clock)
    monkeypatch.setattr("relay.intake.Request", fetches.request)
    return fetches


@pytest.fixture
def intake(fetches: Fetches) -> Intake:
    return Intake(cast(psycopg.Connection, None), _BATCH, Metrics())


def test_acquittals_one_after_the_other_do_not_keep_fetches_from_what_is_new(
    intake: Intake, fetches: Fetches, clock: Clock
) -> None:
    streams = [f"suspected-{number}" for number in range(40)]
    intake.start_over(streams)
    _fetch(intake)

    for stream in streams[:-1]:
        clock.now += 0.1
        intake.trust(stream)
        _fetch(intake)

    # 3.9 s.
    assert fetches.begun_at.count(0) == 1 + 3


def test_the_last_acquittal_is_looked_after_at_once_and_for_all(
    intake: Intake, fetches: Fetches
) -> None:
    intake.start_over(["suspected-1", "suspected-2", "suspected-3"])
    _fetch(intake)

    for number in (1, 2, 3):
        intake.trust(f"suspected-{number}")
        _fetch(intake)
    _fetch(intake)

    assert [above == 0 for above in fetches.begun_at] == [True, False, False, True, False]
    assert [len(each) for each in fetches.left_out[:4]] == [3, 3, 3, 0]


def _fetch(intake: Intake) -> None:
    intake.request([])
    intake.result(lambda _topics: ())
