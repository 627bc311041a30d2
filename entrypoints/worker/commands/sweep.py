"""``sweep``: remove now what crashes left behind and the grace is over for, or only show it.

It is the sweep that a worker makes every SWEEP_INTERVAL_SECONDS, on the engine at DOCKER_HOST, at
once and whoever made the last one; the settings are the worker's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg_pool import PoolTimeout

from application.errors import (
    DatabaseUnavailable,
    EngineError,
    EngineUntrusted,
    SweepDoubted,
    VolumeUntrusted,
)
from application.leftovers import Kind
from application.sweep_report import Kept, Leftover, SweepReport
from entrypoints.composition.worker import Worker
from entrypoints.settings import Settings, load_settings
from entrypoints.worker.commands.errors import Failed, Refused
from entrypoints.worker.commands.output import say

_CONNECT_SECONDS = 5.0
_NOT_MIGRATED = "the database is not migrated: run the migrations first"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Removes what is left behind.

    Attributes:
        dry_run: Show what would be removed, and change nothing.
        force: Remove it however much of it the database does not know.
    """

    dry_run: bool
    force: bool = False

    def run(self, environment: Mapping[str, str]) -> None:
        """Remove it, a line for each thing, then the total.

        Raises:
            Refused: The engine is in quarantine, no worker has ever seen it, or no pass over it
                has ended; the volume is another installation's; too much is unknown.
            Failed: Database, engine or volume did not do their part; what was told is removed.
            InvalidSettings: A variable is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = load_settings(environment)
        removed: list[Leftover] = []

        def show(leftover: Leftover) -> None:
            if not self.dry_run:
                removed.append(leftover)
            say(f"{'would remove' if self.dry_run else 'removed'} {_described(leftover)}")

        with _assembled(settings) as worker:
            try:
                with _one_line():
                    engine_id = worker.engine().engine_id()
                    report = worker.sweep_leftovers().run(
                        engine_id, dry_run=self.dry_run, force=self.force, tell=show
                    )
            except (Refused, Failed) as exc:
                if not removed:
                    raise
                failed = Failed(str(exc))
                failed.add(f"{len(removed)} leftovers removed so far")
                raise failed from exc
        self._conclude(report)

    def _conclude(self, report: SweepReport) -> None:
        for tag in report.set_back:
            say(f"{'would set back' if self.dry_run else 'set back'} kind=tag name={tag}")
        for kept in report.kept:
            say(f"kept {_described(kept.leftover)} reason={kept.reason}")
        say(
            f"{'would sweep' if self.dry_run else 'swept'} things={len(report.removed)}"
            f" bytes={report.size_bytes} kept={len(report.kept)}"
        )
        unforeseen = [kept for kept in report.kept if not _is_in_use(kept)]
        if unforeseen:
            raise Failed(f"{len(unforeseen)} of the leftovers could not be removed")


def _is_in_use(kept: Kept) -> bool:
    """Whether Docker itself protects it: a container that is not ours may need an image."""
    return kept.leftover.kind is Kind.UNTAGGED_IMAGE


def _described(leftover: Leftover) -> str:
    line = f"kind={leftover.kind} name={leftover.name} age_seconds={leftover.age_seconds:.0f}"
    return line if leftover.size_bytes is None else f"{line} bytes={leftover.size_bytes}"


@contextmanager
def _assembled(settings: Settings) -> Iterator[Worker]:
    """Yield a worker that knows its installation, and clear up after it."""
    # It tells of each attempt to connect; one line about all of them comes from here.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    worker = Worker(settings=settings, application_name="orchestrator-worker command")
    try:
        with _one_line():
            worker.pool().open(wait=True, timeout=_CONNECT_SECONDS)
            recorded_id = worker.registry().installation_id()
        worker.installation_id.override(settings.installation_id or recorded_id)
        yield worker
    finally:
        worker.pool().close(timeout=1.0)
        worker.scratch().remove()


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn what others could not do into the line that an operator reads."""
    try:
        yield
    except EngineUntrusted as exc:
        raise Refused(str(exc)) from exc
    except VolumeUntrusted as exc:
        raise Refused(f"BUILD_CONTEXT_BASE_DIR: {exc}") from exc
    except SweepDoubted as exc:
        raise Refused(f"{exc} If so, sweep with --force") from exc
    except EngineError as exc:
        raise Failed(f"the engine failed: {exc}") from exc
    except PoolTimeout as exc:
        # Without the URL: it holds a password.
        raise Failed("the database cannot be reached") from exc
    except DatabaseUnavailable as exc:
        raise Failed(str(exc)) from exc
    except (UndefinedTable, UndefinedColumn) as exc:
        raise Failed(_NOT_MIGRATED) from exc
    except OSError as exc:
        raise Failed(f"BUILD_CONTEXT_BASE_DIR: {exc}") from exc
