"""`restored`: after a backup of the database came back, raise everything that is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.postgres.restoration import APPLICATION_NAME, RAISED_BY
from entrypoints.composition.worker import Worker
from entrypoints.settings import load_settings
from entrypoints.worker.commands.installation import told_errors
from entrypoints.worker.commands.interruption import Interruption
from entrypoints.worker.commands.output import say


@dataclass(frozen=True, slots=True)
class Restored:
    """Consumers then see a gap in each stream and take a snapshot, never a number twice.

    Attributes:
        force: do it though other sessions of the service are connected.
    """

    force: bool = False

    def run(self, environment: Mapping[str, str]) -> None:
        """Raise all of it, or nothing.

        Raises:
            Refused: api, workers or relays are connected.
            Failed: the database did not do it.
            InvalidSettings: naming the variable.
            ReaderGone: nobody reads the outcome.
        """
        # Not `opened`: its pool would be one more session that is to be stopped first.
        worker = Worker(settings=load_settings(environment), application_name=APPLICATION_NAME)
        restoration = worker.restoration()
        with told_errors(), Interruption() as interruption:
            with interruption.whole_step():
                raised = restoration.raise_numbers(force=self.force)
            say(
                f"restored images={raised.images} containers={raised.containers}"
                f" raised_by={RAISED_BY}"
            )
            for table, next_id in raised.next_ids.items():
                say(f"identity table={table} next={next_id}")
