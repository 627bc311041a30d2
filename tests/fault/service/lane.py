"""An installation whose processes die one after the other, each at its turn, and are recovered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from tests.contracts.subjects import wait_until
from tests.fault.service.ends import End
from tests.fault.service.operations import OPERATIONS, Operation
from tests.fault.service.real_operations import REAL_OPERATIONS, RealOperation
from tests.fault.service.stage import Stage
from tests.fault.service.turns import Turn

_BEGUN_SECONDS = 90.0
_RECOVERED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a kill.

    Attributes:
        died: whether anybody came by the place; else it was killed when all was done.
        seconds: from the restart of the worker to agreement.
        left: what is left on the volume for a sweep.
        waited_for: what came last.
    """

    died: bool
    seconds: float
    left: Sequence[str]
    waited_for: str


class Lane:
    """Goes through the kills that it is given, one after the other.

    Args:
        stage: nobody else's.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._service = stage.service

    def kill(self, name: str, turn: Turn, places: Sequence[str]) -> Recovery:
        """Let api or worker die at a turn of an operation, and another one recover.

        Args:
            places: all that the operation passes, in order.

        Raises:
            AssertionError: not everything agrees in the end.
        """
        operation, real = OPERATIONS[name], REAL_OPERATIONS[name]
        end = operation.end_without(places, turn.index)
        with self._service.worker():
            self._stage.clear()
            real.prepare(self._stage)
        real.lead_up(self._stage)
        if operation.is_of_the_api(turn.place):
            with self._at_work(real):
                self._let_the_api_die(real, turn)
                return self._recover(real, end, died=True)
        armed = turn.armed_since(places, "kill", real.apart)
        died = self._let_the_worker_die(real, armed, operation)
        return self._recover(real, end, died=died)

    @contextlib.contextmanager
    def _at_work(self, real: RealOperation) -> Iterator[None]:
        """Have a worker that has begun, if the request is made of one."""
        if real.begun is None:
            yield
            return
        with self._service.worker():
            self._wait_until_begun(real, lambda: True)
            yield

    def _let_the_api_die(self, real: RealOperation, turn: Turn) -> None:
        with (
            self._service.armed_api(turn.armed("kill")) as mortal,
            contextlib.suppress(httpx.TransportError),
        ):
            real.request(self._stage, mortal)

    def _let_the_worker_die(self, real: RealOperation, armed: str, operation: Operation) -> bool:
        stage = self._stage
        if real.begun is None:
            real.request(stage, stage.http)
        process = self._service.start_armed(armed, real.command)
        if real.begun is not None:
            self._wait_until_begun(real, lambda: process.alive)
            real.request(stage, stage.http)
        # A command ends by itself.
        return self._service.dies(
            process, lambda: real.command == "worker" and not self._missing(real, operation.done)
        )

    def _wait_until_begun(self, real: RealOperation, alive: Callable[[], bool]) -> None:
        begun = real.begun
        assert begun is not None
        wait_until(lambda: begun(self._stage) or not alive(), _BEGUN_SECONDS)

    def _recover(self, real: RealOperation, end: End, *, died: bool) -> Recovery:
        began, waited_for = time.monotonic(), ["the worker"]
        left: list[str] = []
        missing = "nobody has looked"

        def is_over() -> bool:
            nonlocal missing
            missing, found = self._look(real, end)
            left[:] = found
            if missing:
                waited_for.append(missing)
            return not missing

        with self._restarted():
            with contextlib.suppress(AssertionError):
                wait_until(is_over, _RECOVERED_SECONDS)
            seconds = time.monotonic() - began
        assert not missing, missing
        return Recovery(died, seconds, left, waited_for[-1])

    @contextlib.contextmanager
    def _restarted(self) -> Iterator[None]:
        """Have a worker, unless it was the api that died beside one."""
        if self._service.worker_is_ready():
            yield
            return
        with self._service.worker():
            yield

    def _missing(self, real: RealOperation, end: End) -> str:
        """Return what is still missing to an end; nothing if it has come."""
        missing, _ = self._look(real, end)
        return missing

    def _look(self, real: RealOperation, end: End) -> tuple[str, Sequence[str]]:
        """Return the same, and what the same look finds left for a sweep."""
        stage, now = self._stage, self._stage.end()
        if now != end:
            return f"{now} instead of {end}", ()
        if left := real.waits_for(stage):
            return f"left over: {', '.join(left)}", ()
        found = self._service.look()
        return "; ".join(found.differences), found.left
