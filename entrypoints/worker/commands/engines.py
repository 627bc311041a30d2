"""`engines`: every engine that a worker ever reached, and whether it is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.postgres.quarantine import EngineOverview
from entrypoints.worker.commands.installation import opened
from entrypoints.worker.commands.output import moment, say


@dataclass(frozen=True, slots=True)
class Engines:
    """Works with the database alone."""

    def run(self, environment: Mapping[str, str]) -> None:
        """Write a line for each engine; nothing if there is none.

        Raises:
            Failed: the database did not answer.
            InvalidSettings: naming the variable.
            ReaderGone: nobody reads the outcome.
        """
        with opened(environment) as worker:
            engines = worker.quarantine().overview()
        for engine in engines:
            say(_line(engine))


def _line(engine: EngineOverview) -> str:
    reached = engine.reached_seconds
    return (
        f"engine={engine.engine_id} address={engine.address or 'unknown'} host={engine.host}"
        f" reachable={'yes' if engine.reachable else 'no'}"
        f" heartbeat_seconds={engine.heartbeat_seconds:.1f}"
        f" reached_seconds={'never' if reached is None else f'{reached:.1f}'}"
        f" last_pass={moment(engine.passed_at)} containers={engine.held}"
        f" quarantine={moment(engine.quarantined_at)} reason={engine.quarantine_reason or 'none'}"
    )
