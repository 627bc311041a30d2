"""Sweeps of a worker whose engine is in memory, over a real database and real folders."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.volume.stored_files import VolumeStoredFiles
from application.mend_tags import MendTags
from application.publish_tag import PublishTag
from application.sweep_leftovers import SweepLeftovers
from application.sweep_report import SweepReport
from tests.contracts.fake_docker import App, ImageLabels
from tests.integration.volume_files import files_on
from tests.integration.worker.worker import Worker

GRACE_SECONDS = 3600.0
USER = "user-1"


class Sweeper:
    """A worker's sweeps, at a time that is far past every grace unless a test sets it.

    Args:
        volume: another one than its installation's.
    """

    def __init__(self, worker: Worker, volume: Path | None = None) -> None:
        self.now = worker.docker.started_at + timedelta(days=1)
        self.register = PostgresSweepRegister(worker.installation.pool)
        self.base = volume or worker.installation.store.path("")
        self.tags = mends_of(worker)
        self._worker = worker
        worker.passes.run(worker.engine_id)
        self._sweeps = SweepLeftovers(
            worker.engine,
            VolumeStoredFiles(self.base),
            self.register,
            self.tags,
            lambda: self.now,
            worker.installation.claim_of(self.base).check,
            grace_seconds=GRACE_SECONDS,
        )

    def run(self, *, dry_run: bool = False, force: bool = False) -> SweepReport:
        return self._sweeps.run(self._worker.engine_id, dry_run=dry_run, force=force)

    def names(self, report: SweepReport | None = None) -> set[str]:
        return {leftover.name for leftover in (report or self.run()).removed}

    def make(self, *names: str) -> None:
        for name in names:
            (self.base / name).parent.mkdir(parents=True, exist_ok=True)
            (self.base / name).write_text("content")

    def age(self, name: str, changed_at: datetime) -> None:
        """Let all of a folder have been written at one time."""
        path = self.base / name
        for each in (*path.rglob("*"), path):
            os.utime(each, (changed_at.timestamp(),) * 2, follow_symlinks=False)

    def files(self) -> set[str]:
        return files_on(self.base)


def mends_of(worker: Worker) -> MendTags:
    installation = worker.installation
    publish_tag = PublishTag(installation.transactions, worker.engine)
    return MendTags(PostgresSweepRegister(installation.pool), publish_tag)


def labelled(worker: Worker, image_id: int, build_id: int, *tags: str) -> str:
    """Put what a build made on the engine; returns its Docker image id."""
    labels = ImageLabels("test", image_id, build_id)
    return worker.docker.add_image(App(), *tags, labels=labels)
