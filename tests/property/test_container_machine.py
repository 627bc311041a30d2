"""The container against a plain model: whatever is wished, claimed and observed, in any order."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.container import Container
from domain.errors import ContainerRefuses, IllegalTransition
from domain.events import Cause, ContainerEvent
from tests.property.container_model import EVERY_OUTCOME, OUTCOMES, ContainerModel
from tests.unit.domain.samples import (
    BACKOFF,
    SLOT,
    after,
    new_container,
    seen_ended,
    seen_running,
    wish,
)

WISHES = st.sampled_from(["running", "stopped", "deleted"])
CAUSES = st.sampled_from([Cause.API, Cause.MIN_INSTANCES])
# Seconds past noon at which a run started, or the one that is open was seen again.
RUNS = st.integers(-50, 50)
# Docker's clock is not ours: what it reports may lie long before what was told last.
SKEWS = st.none() | st.integers(-500, 500)


class ContainerMachine(RuleBasedStateMachine):
    """Wishes, claims and outcomes; what the model does not allow must be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.container = new_container()
        self.model = ContainerModel()
        self.ledger: list[ContainerEvent] = []
        self.seconds = 0
        self.names = {self.container.name}

    @rule(desired=WISHES, cause=CAUSES)
    def wish(self, desired: str, cause: Cause) -> None:
        answer = self.model.wish(desired, cause.value)

        if answer == "refused":
            with pytest.raises(ContainerRefuses) as refusal:
                self._ask(desired, cause)
            assert refusal.value.requested == desired
        else:
            assert self._ask(desired, cause) == (answer == "new")

    @rule()
    def claim(self) -> None:
        assert self.container.begin() == self.model.claim()

    @precondition(lambda self: bool(OUTCOMES[self.model.status]))
    @rule(data=st.data(), run=RUNS, again=st.booleans(), oom=st.booleans(), skew=SKEWS)
    def record(
        self, data: st.DataObject, run: int, skew: int | None, *, again: bool, oom: bool
    ) -> None:
        outcome = data.draw(st.sampled_from(sorted(OUTCOMES[self.model.status])))
        if again and self.model.open_run is not None:
            run = self.model.open_run

        self._record(outcome, run, skew, oom=oom)
        self.container.settled_generation = self.container.generation
        self.model.record(outcome, run=run, oom=oom)

    @rule(outcome=st.sampled_from(EVERY_OUTCOME), run=RUNS)
    def attempt_what_is_not_allowed(self, outcome: str, run: int) -> None:
        if self.model.allows(outcome):
            return

        with pytest.raises(IllegalTransition) as refusal:
            self._record(outcome, run, None, oom=False)

        assert refusal.value.current == self.model.status

    @rule()
    def rename(self) -> None:
        if self.model.status == "creating" and len(self.names) < 3:
            self.container.rename()
            assert self.container.name not in self.names
            self.names.add(self.container.name)
        elif self.model.status != "creating":
            with pytest.raises(ContainerRefuses):
                self.container.rename()

    @rule(port=st.integers(20000, 20009))
    def move_port(self, port: int) -> None:
        if self.model.status == "creating":
            self.container.move_port(port)
        else:
            with pytest.raises(ContainerRefuses):
                self.container.move_port(port)

    @invariant()
    def is_as_the_model(self) -> None:
        container, model = self.container, self.model
        assert (container.status, container.desired) == (model.status, model.desired)
        assert container.generation == model.generation
        assert container.is_settled == model.settled
        assert container.restart_count == model.restarts
        assert container.open_run_id == run_id(model.open_run)
        assert (container.slot == SLOT) == model.holds_port
        assert (container.slot is None) == (container.external_port is None)

    @invariant()
    def is_due_by_itself_only_while_a_step_is_left_or_its_policy_waits(self) -> None:
        container = self.container
        due_in = container.next_step_in(after(self.seconds))
        if not container.is_settled:
            assert due_in == 0
        elif container.status == "exited":
            assert (due_in is None) == (container.restart_at is None)
        else:
            assert (due_in, container.restart_at) == (None, None)

    @invariant()
    def tells_what_the_model_tells(self) -> None:
        self.ledger += self.container.events
        self.container.events.clear()
        assert [event.sequence for event in self.ledger] == list(range(1, len(self.ledger) + 1))
        assert [(event.type.value, event.run_id, event.cause.value) for event in self.ledger] == [
            (told.type, run_id(told.run), told.cause) for told in self.model.told
        ]
        assert self.container.sequence == len(self.ledger)

    @invariant()
    def every_stream_is_one_that_consumers_can_follow(self) -> None:
        expect_whole_runs(self.ledger)
        times = [event.occurred_at for event in self.ledger]
        assert times == sorted(times)
        assert all(event.external_port is not None for event in routed(self.ledger))

    # ---- detail ----------------------------------------------------------------------------

    def _ask(self, desired: str, cause: Cause) -> bool:
        asked: dict[str, Callable[..., bool]] = {
            "running": self.container.request_start,
            "stopped": self.container.request_stop,
            "deleted": self.container.request_delete,
        }
        return asked[desired](wish(at=self.seconds, cause=cause))

    def _record(self, outcome: str, run: int, skew: int | None, *, oom: bool) -> None:
        self.seconds += 10
        now = after(self.seconds)
        container: Container = self.container
        ended = seen_ended(None if skew is None else self.seconds + skew, oom_killed=oom)
        if outcome == "running":
            container.record_running(seen_running(run), now)
        elif outcome == "exited":
            container.record_exited(ended, now, BACKOFF)
        elif outcome == "stopped":
            container.record_stopped(ended, now)
        elif outcome == "run_ended":
            container.record_run_ended(ended, now)
        elif outcome == "failed":
            container.record_failed("reason", "logs", ended, now)
        elif outcome == "failed_start":
            container.record_failed_start("reason", "logs", ended, now, BACKOFF)
        else:
            cause = Cause.RECONCILER if outcome == "vanished" else None
            container.record_deleted(now, cause=cause)


def run_id(run: int | None) -> UUID | None:
    return None if run is None else seen_running(run).run_id


def routed(ledger: Sequence[ContainerEvent]) -> list[ContainerEvent]:
    """The events by which traffic is led to a container, or away from it."""
    return [event for event in ledger if event.type in {"container.started", "container.stopped"}]


def expect_whole_runs(ledger: Sequence[ContainerEvent]) -> None:
    """Read a stream as a consumer does: one open run at most, each ended once, deleted last."""
    open_run: UUID | None = None
    for event in ledger:
        if event.type == "container.created":
            assert event.sequence == 1
        elif event.type == "container.started":
            assert open_run is None
            open_run = event.run_id
            assert open_run is not None
        elif event.type == "container.stopped":
            assert event.run_id == open_run
            open_run = None
        else:
            assert open_run is None
    assert all(event.type != "container.deleted" for event in ledger[:-1])
    started = [event for event in ledger if event.type == "container.started"]
    assert bool(started) == (bool(ledger) and ledger[0].type == "container.created")


TestContainer = ContainerMachine.TestCase
TestContainer.settings = settings(max_examples=400, stateful_step_count=40)
