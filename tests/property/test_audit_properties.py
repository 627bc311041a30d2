"""Whatever a container goes through, its stream passes the audit; and no damage to it does."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from application.audit.audit_ledger import audit_streams
from application.audit.records import ContainerRecord, LedgerEntry, Restoration, State, Stream
from domain.container import Container
from domain.errors import ContainerRefuses, IllegalTransition
from domain.events import Cause, ContainerEvent
from tests.unit.audit.worlds import CONTAINER, entry
from tests.unit.domain.samples import (
    BACKOFF,
    after,
    new_container,
    seen_ended,
    seen_running,
    wish,
)

STEPS = st.lists(
    st.sampled_from(
        [
            "wish running", "wish stopped", "wish deleted", "claim", "claim", "running", "running",
            "exited", "stopped", "run ended", "failed start", "failed", "deleted", "vanished",
            "engine lost",
        ]
    ),
    max_size=25,
)  # fmt: skip


def live_through(steps: list[str]) -> tuple[Container, list[ContainerEvent]]:
    """Take steps one after the other; those that are refused change nothing."""
    container, told = new_container(), list[ContainerEvent]()
    for second, step in enumerate(steps, start=1):
        try:
            _take(container, step, second)
        except (ContainerRefuses, IllegalTransition):
            container.events.clear()
        told += container.events
        container.events.clear()
    return container, told


def _take(container: Container, step: str, second: int) -> None:
    now, ended = after(10 * second), seen_ended(10 * second)
    steps: dict[str, Callable[[], object]] = {
        "wish running": lambda: container.request_start(wish(at=second)),
        "wish stopped": lambda: container.request_stop(wish(at=second)),
        "wish deleted": lambda: container.request_delete(wish(at=second)),
        "claim": container.begin,
        "running": lambda: container.record_running(seen_running(10 * second), now),
        "exited": lambda: container.record_exited(ended, now, BACKOFF),
        "stopped": lambda: container.record_stopped(ended, now),
        "run ended": lambda: container.record_run_ended(ended, now),
        "failed start": lambda: container.record_failed_start("why", "", ended, now, BACKOFF),
        "failed": lambda: container.record_failed("why", "", ended, now),
        "deleted": lambda: container.record_deleted(now),
        "vanished": lambda: container.record_deleted(now, cause=Cause.RECONCILER),
        "engine lost": lambda: container.lose_engine(now),
    }
    steps[step]()


def recorded(container: Container) -> ContainerRecord:
    return replace(
        CONTAINER,
        status=container.status,
        sequence=container.sequence,
        open_run_id=container.open_run_id,
    )


def entries_of(told: list[ContainerEvent]) -> list[LedgerEntry]:
    return [
        entry(
            event.sequence,
            event.type,
            event.status,
            run_id=event.run_id,
            occurred_at=event.occurred_at,
        )
        for event in told
    ]


def is_clean(container: ContainerRecord, entries: list[LedgerEntry]) -> bool:
    stream = [Stream("container/5", tuple(entries))] if entries else []
    return not list(audit_streams(State(containers={5: container}), stream))


@given(STEPS)
def test_whatever_the_domain_tells_passes(steps: list[str]) -> None:
    container, told = live_through(steps)

    assert is_clean(recorded(container), entries_of(told))


@given(STEPS, st.data())
def test_an_event_that_is_lost_is_found(steps: list[str], data: st.DataObject) -> None:
    container, told = live_through(steps)
    # The whole history of what is deleted may have been pruned.
    assume(len(told) > 1)
    entries = entries_of(told)

    del entries[data.draw(st.integers(0, len(entries) - 1))]

    assert not is_clean(recorded(container), entries)


@given(STEPS, st.data())
def test_an_event_that_is_told_twice_is_found(steps: list[str], data: st.DataObject) -> None:
    container, told = live_through(steps)
    entries = entries_of(told)
    # A start may fail any number of times.
    once = [each for each in entries if (each.type, each.status) != ("container.failed", "exited")]
    assume(once)
    again = data.draw(st.sampled_from(once))

    number = container.sequence + 1
    entries.append(replace(again, sequence=number, told_sequence=number, id=100 + number))

    assert not is_clean(replace(recorded(container), sequence=number), entries)


@given(STEPS, st.integers(0, 25), st.integers(1, 3))
def test_what_a_restoration_raised_passes(steps: list[str], cut: int, times: int) -> None:
    container, told = live_through(steps)
    entries = entries_of(told)
    raised = times * 1_000_000

    moved = [
        replace(each, sequence=each.sequence + raised, told_sequence=each.sequence + raised)
        if each.sequence > cut
        else each
        for each in entries
    ]
    state = State(
        containers={5: replace(recorded(container), sequence=container.sequence + raised)},
        restorations=[Restoration(1_000_000, 100 + cut, 10, 10)] * times,
    )

    assert list(audit_streams(state, [Stream("container/5", tuple(moved))] if moved else [])) == []
