"""Waits until wishes are carried out: one reader for all waiters, no thread for any of them.

A waiter registers first and reads then, so an outcome in between is not missed. A notification
makes one query for every waited id; without one, a poll does the same each second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import structlog
from starlette.concurrency import run_in_threadpool

from application.errors import ApplicationError, Superseded
from application.ports import Reader
from application.views import Progress

POLL_SECONDS = 1.0
# The wish that a container begins with.
CREATION = 1

log = structlog.get_logger(__name__)

Read = Callable[[Collection[int]], Sequence[Progress]]


class Verdict(Enum):
    """How a wait ended."""

    CARRIED_OUT = "carried out"
    PENDING = "pending"


@dataclass(slots=True, eq=False)
class _Wait:
    """What one request waits for: the generation of each id, or None for its deletion."""

    read: Read
    goals: Mapping[int, int | None]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    done: set[int] = field(default_factory=set)
    superseded: tuple[int, ...] = ()
    carried_out: bool = False

    def judge(self, progress: Mapping[int, Progress]) -> None:
        """Look whether the wait is over."""
        states = {
            id_: _state(progress.get(id_), goal)
            for id_, goal in self.goals.items()
            if id_ not in self.done
        }
        # What was once carried out stays so, whatever is wished while the others still are not.
        self.done.update(id_ for id_, state in states.items() if state == "done")
        self.superseded = tuple(id_ for id_, state in states.items() if state == "superseded")
        self.carried_out = self.done == self.goals.keys()
        if self.carried_out or self.superseded:
            self.over.set()


class OutcomeWaiter:
    """All waits of this process."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waits: set[_Wait] = set()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def run(self) -> None:
        """Serve the waiters until cancelled; belongs into the process's task group."""
        self._loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            if self._waits:
                await self._look()

    def wake(self, _: object = None) -> None:
        """Look at once; called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """End every wait as pending: the process ends, the wishes stand.

        Called by a signal handler, so it only asks the loop, and takes no lock that it may hold.
        """
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_waits)

    async def containers(self, goals: Mapping[int, int | None], seconds: float) -> Verdict:
        """Wait until each container's wish is carried out.

        Args:
            goals: the generation to wait for by container id; None waits for its deletion.
            seconds: how long at most.

        Raises:
            Superseded: a later wish replaced one of them.
        """
        return await self._wait(_Wait(self._reader.progress_of_containers, goals), seconds)

    async def image_deletion(self, image_id: int, seconds: float) -> Verdict:
        """Wait until an image is deleted."""
        return await self._wait(_Wait(self._reader.progress_of_images, {image_id: None}), seconds)

    async def build_end(self, build_id: int, seconds: float) -> Verdict:
        """Wait until a build has ended, however that is."""
        return await self._wait(_Wait(self._reader.progress_of_builds, {build_id: None}), seconds)

    async def _wait(self, wait: _Wait, seconds: float) -> Verdict:
        if seconds <= 0:
            # Nothing is waited for, but what was carried out already is told as such.
            await self._look_for([wait])
        else:
            await self._until_over(wait, seconds)
        if wait.superseded:
            raise Superseded(wait.superseded)
        return Verdict.CARRIED_OUT if wait.carried_out else Verdict.PENDING

    async def _until_over(self, wait: _Wait, seconds: float) -> None:
        self._waits.add(wait)
        if self._closed:
            wait.over.set()
        self._news.set()
        try:
            async with asyncio.timeout(seconds):
                await wait.over.wait()
        except TimeoutError:
            pass
        finally:
            self._waits.discard(wait)

    def _end_waits(self) -> None:
        for wait in self._waits:
            wait.over.set()

    async def _look(self) -> None:
        waits = list(self._waits)
        for read in {wait.read for wait in waits}:
            try:
                await self._look_for([wait for wait in waits if wait.read == read])
            except ApplicationError as exc:
                log.warning("waiters not served", error=str(exc))
            except Exception:
                # This task serves every waiter and nobody starts it again.
                log.exception("waiters not served")

    async def _look_for(self, waits: Sequence[_Wait]) -> None:
        """Judge waits that are served by the same query."""
        ids = {id_ for wait in waits for id_ in wait.goals}
        rows = await run_in_threadpool(waits[0].read, ids)
        progress = {row.id: row for row in rows}
        for wait in waits:
            wait.judge(progress)


def _state(progress: Progress | None, goal: int | None) -> str:
    if progress is not None and goal == CREATION and progress.told:
        # It came up or failed, which is told once; whatever was wished later came after that.
        return "done"
    if progress is None or progress.gone:
        superseded = progress is not None and goal is not None and progress.generation > goal
        return "superseded" if superseded else "done"
    if goal is None:
        return "pending"
    if progress.applied_generation == goal:
        return "done"
    return "superseded" if progress.generation > goal else "pending"
