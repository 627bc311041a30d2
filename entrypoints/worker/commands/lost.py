"""`lost`: declare an engine gone for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from application.declare_engine_lost import DeclareEngineLost, LostSoFar
from entrypoints.worker.commands.errors import CommandError
from entrypoints.worker.commands.installation import opened
from entrypoints.worker.commands.interruption import Interrupted
from entrypoints.worker.commands.output import say


@dataclass(frozen=True, slots=True)
class Lost:
    """Its containers are told as ended and deleted, its images need another build.

    Attributes:
        engine_id: as `engines` shows it.
        reason: why, for whoever looks at the engines later.
    """

    engine_id: str
    reason: str

    def run(self, environment: Mapping[str, str]) -> None:
        """Go through all of it; what was done before a failure stays, and it can be repeated.

        Raises:
            Refused: there is no such engine, or a worker reached it within the last minute.
            Failed: the database did not do all of it.
            InvalidSettings: naming the variable.
            ReaderGone: nobody reads the outcome.
        """
        command = DeclareEngineLost(self.engine_id, self.reason)
        so_far: LostSoFar | None = None
        try:
            with opened(environment) as worker:
                for so_far in worker.declare_lost().handle(command):  # noqa: B007 - told below
                    pass
        except (CommandError, Interrupted) as exc:
            if so_far is not None:
                exc.args = (f"{exc}; {_told(so_far)} so far, repeat the command to go on",)
            raise
        say(f"lost engine={self.engine_id} {_told(so_far or LostSoFar())}")


def _told(so_far: LostSoFar) -> str:
    return f"images={so_far.images} containers={so_far.containers}"
