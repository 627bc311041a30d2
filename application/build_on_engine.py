"""One attempt of a build on an engine: what its end says of the build, and what of the engine.

An engine may go away while a build is under way on it, for reasons of its own or because a step of
that very build took it down. Which of the two it was is not to be known from one attempt. So it is
told apart from an engine that was not there when the build was to begin, which no build is the
cause of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from application.engine_calls import BuildOrder
from application.errors import (
    ApplicationError,
    BuildInterrupted,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    EngineWentAway,
)
from application.leases import Lease
from application.ports import ContainerEngine
from application.retries import expect_engine, weighed


class BuildOnEngine:
    """Makes the calls of an attempt.

    Args:
        note_setback: is told what the engine could not do, before it is decided what follows.
    """

    def __init__(
        self, engine: ContainerEngine, note_setback: Callable[[Lease, ApplicationError], None]
    ) -> None:
        self._engine = engine
        self._note_setback = note_setback

    def build(self, lease: Lease, order: BuildOrder, engine_id: str) -> str:
        """Return the Docker image id of what was built on the engine.

        Raises:
            EngineWentAway: it was there before, and is not any more, or another one is.
            EngineUnreachable: it was not there, so nothing was begun.
            BuildInterrupted: the build was ended on purpose.
            EngineError: whatever else Docker said, while the engine answered.
        """
        with self.weighing(lease, engine_id):
            expect_engine(engine_id, self._engine.engine_id)
        try:
            with self.weighing(lease, engine_id):
                docker_image_id = self._engine.build(order)
                # What was built must not be on one that nobody will look for it on.
                expect_engine(engine_id, self._engine.engine_id)
        except EngineUnreachable as exc:
            raise EngineWentAway(str(exc)) from exc
        return docker_image_id

    @contextmanager
    def weighing(self, lease: Lease, engine_id: str) -> Iterator[None]:
        """Note what an engine could not do, and raise what that is worth once it was asked."""
        try:
            yield
        except BuildInterrupted:
            raise
        except EngineError as exc:
            error = weighed(exc, engine_id, self._engine.engine_id)
            if not isinstance(error, EngineRefused):
                self._note_setback(lease, exc)
            if error is exc:
                raise
            raise error from exc
