"""`trust`: end an engine's quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from entrypoints.worker.commands.installation import opened
from entrypoints.worker.commands.interruption import Interruption
from entrypoints.worker.commands.output import say


@dataclass(frozen=True, slots=True)
class Trust:
    """What is missing on the engine will be told as ended, what is unknown there removed.

    Attributes:
        engine_id: as `engines` shows it.
    """

    engine_id: str

    def run(self, environment: Mapping[str, str]) -> None:
        """End the quarantine; the next pass acts on whatever it finds.

        Raises:
            Refused: there is no such engine, or it is not in quarantine.
            Failed: the database did not do it.
            InvalidSettings: naming the variable.
            ReaderGone: nobody reads the outcome.
        """
        with opened(environment) as worker, Interruption() as interruption:
            with interruption.whole_step():
                worker.quarantine().trust(self.engine_id)
            say(f"trusted engine={self.engine_id}")
