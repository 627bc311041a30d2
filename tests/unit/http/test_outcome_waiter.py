"""When a wait is over, by a table; and how one ends, against a reader that a test turns."""

import asyncio
import threading
from collections.abc import Collection, Sequence
from typing import cast

import pytest

from application.errors import DatabaseUnavailable, Superseded
from application.ports import Reader
from application.views import Progress
from entrypoints.http import outcome_waiter
from entrypoints.http.outcome_waiter import OutcomeWaiter, Verdict, _state

GONE, THERE = True, False
# Longer than any of these tests: only a wake-up can end a wait before that.
NEVER_SECONDS = 600.0


@pytest.mark.parametrize(
    ("progress", "goal", "state"),
    [
        # generation, applied_generation, gone                    goal
        (Progress(1, 1, 0, THERE), 1, "pending"),
        (Progress(1, 1, 1, THERE), 1, "done"),
        (Progress(1, 2, 1, THERE), 2, "pending"),
        (Progress(1, 2, 2, THERE), 2, "done"),
        # A later wish came: but whoever's wish was carried out before that has no complaint.
        (Progress(1, 3, 2, THERE), 2, "done"),
        (Progress(1, 3, 1, THERE), 2, "superseded"),
        (Progress(1, 3, 3, THERE), 2, "superseded"),
        # A delete replaced the wish; without a later wish it vanished, and a GET tells the rest.
        (Progress(1, 3, 3, GONE), 2, "superseded"),
        (Progress(1, 2, 1, GONE), 2, "done"),
        # A creation is over once anything was told of it, whatever was wished since.
        (Progress(1, 2, 1, THERE, told=True), 1, "done"),
        (Progress(1, 2, 2, THERE, told=True), 1, "done"),
        (Progress(1, 2, 2, GONE, told=True), 1, "done"),
        (Progress(1, 2, 1, GONE), 1, "superseded"),
        (Progress(1, 3, 3, THERE, told=True), 2, "superseded"),
        # None waits for its deletion, whoever wished it.
        (Progress(1, 2, 1, THERE), None, "pending"),
        (Progress(1, 2, 2, GONE), None, "done"),
        (Progress(1, 9, 1, GONE), None, "done"),
        (None, None, "done"),
        (None, 1, "done"),
    ],
)
def test_the_state_of_a_wait(progress: Progress | None, goal: int | None, state: str) -> None:
    assert _state(progress, goal) == state


class FakeReader:
    """Shows the progress that a test sets, and counts how often it was asked."""

    def __init__(self) -> None:
        self.shown = {1: Progress(1, 2, 1, THERE), 2: Progress(2, 1, 0, THERE)}
        self.asked: list[set[int]] = []
        self.was_asked = threading.Event()
        self.broken = False

    def progress_of_containers(self, ids: Collection[int]) -> Sequence[Progress]:
        self.asked.append(set(ids))
        self.was_asked.set()
        if self.broken:
            raise DatabaseUnavailable("the database cannot be reached")
        return [self.shown[id_] for id_ in ids if id_ in self.shown]

    def progress_of_images(self, ids: Collection[int]) -> Sequence[Progress]:
        return [Progress(id_, 0, 0, GONE) for id_ in ids]

    def carry_out(self, id_: int) -> None:
        generation = self.shown[id_].generation
        self.shown[id_] = Progress(id_, generation, generation, THERE)


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def waiter(reader: FakeReader, monkeypatch: pytest.MonkeyPatch) -> OutcomeWaiter:
    """A waiter that never polls."""
    monkeypatch.setattr(outcome_waiter, "POLL_SECONDS", NEVER_SECONDS)
    return OutcomeWaiter(cast(Reader, reader))


async def _first_asked(reader: FakeReader) -> None:
    assert await asyncio.to_thread(reader.was_asked.wait, 5)


def test_what_was_carried_out_already_is_told_without_waiting(
    waiter: OutcomeWaiter, reader: FakeReader
) -> None:
    reader.carry_out(1)

    verdicts = [asyncio.run(waiter.containers({id_: goal}, 0)) for id_, goal in ((1, 2), (2, 1))]

    assert verdicts == [Verdict.CARRIED_OUT, Verdict.PENDING]


def test_a_superseded_wish_is_told_without_waiting(
    waiter: OutcomeWaiter, reader: FakeReader
) -> None:
    reader.shown[1] = Progress(1, 3, 1, THERE)

    with pytest.raises(Superseded) as refusal:
        asyncio.run(waiter.containers({1: 2, 2: 1}, 0))

    assert refusal.value.container_ids == (1,)


def test_a_wake_up_ends_every_wait_that_is_over_by_one_query(
    waiter: OutcomeWaiter, reader: FakeReader
) -> None:
    async def scenario() -> list[Verdict]:
        serving = asyncio.create_task(waiter.run())
        waits = [
            asyncio.create_task(waiter.containers({id_: goal}, 5)) for id_, goal in ((1, 2), (2, 1))
        ]
        await _first_asked(reader)
        reader.carry_out(1)
        reader.carry_out(2)
        reader.asked.clear()
        waiter.wake()
        verdicts = await asyncio.gather(*waits)
        serving.cancel()
        return verdicts

    assert asyncio.run(scenario()) == [Verdict.CARRIED_OUT] * 2
    assert reader.asked == [{1, 2}]


def test_a_database_that_fails_ends_no_wait(waiter: OutcomeWaiter, reader: FakeReader) -> None:
    async def scenario() -> Verdict:
        serving = asyncio.create_task(waiter.run())
        reader.broken = True
        wait = asyncio.create_task(waiter.containers({1: 2}, 5))
        await _first_asked(reader)
        reader.broken = False
        reader.carry_out(1)
        waiter.wake()
        verdict = await wait
        assert not serving.done()
        serving.cancel()
        return verdict

    assert asyncio.run(scenario()) is Verdict.CARRIED_OUT


def test_closing_ends_the_waits_that_are_there_and_those_that_come(
    waiter: OutcomeWaiter, reader: FakeReader
) -> None:
    async def scenario() -> list[Verdict]:
        serving = asyncio.create_task(waiter.run())
        wait = asyncio.create_task(waiter.containers({1: 2}, NEVER_SECONDS))
        await _first_asked(reader)
        waiter.close()
        verdicts = [await wait, await waiter.containers({2: 1}, NEVER_SECONDS)]
        serving.cancel()
        return verdicts

    assert asyncio.run(scenario()) == [Verdict.PENDING] * 2


def test_images_and_containers_are_waited_for_side_by_side(
    waiter: OutcomeWaiter, reader: FakeReader
) -> None:
    async def scenario() -> list[Verdict]:
        serving = asyncio.create_task(waiter.run())
        deletion, change = await asyncio.gather(
            waiter.image_deletion(1, 5), waiter.containers({1: 2}, 0.2)
        )
        serving.cancel()
        return [deletion, change]

    assert asyncio.run(scenario()) == [Verdict.CARRIED_OUT, Verdict.PENDING]


def test_what_was_once_carried_out_stays_so_while_the_others_are_waited_for() -> None:
    wait = outcome_waiter._Wait(lambda _: [], {1: 2, 2: 2})

    wait.judge({1: Progress(1, 2, 2, THERE), 2: Progress(2, 2, 1, THERE)})
    wait.judge({1: Progress(1, 3, 3, THERE), 2: Progress(2, 2, 2, THERE)})

    assert (wait.carried_out, wait.superseded) == (True, ())
