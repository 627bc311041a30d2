"""An upload whose process was stopped for longer than the grace: a sweep or a row, never both."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from adapters.volume.stored_files import VolumeStoredFiles
from application.errors import DatabaseUnavailable, VolumeUnavailable
from application.leftovers import ImageFolder, Upload
from application.sweep_report import SweepReport
from application.unit_of_work import TransactionRunner, UnitOfWork
from tests.contracts.subjects import wait_until
from tests.integration.worker.sweeper import Sweeper
from tests.integration.worker.worker import Worker

T = TypeVar("T")
TIMEOUT = 30.0
_WAITING = """
SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
"""

_HOLDERS = _WAITING.replace("NOT granted", "granted")
_END_HOLDERS = _HOLDERS.replace("SELECT FROM", "SELECT pg_terminate_backend(pid) FROM")


class Moment(Enum):
    """When an api that carries out an upload is stopped."""

    BEFORE_IT_IS_STORED = auto()
    BEFORE_IT_IS_RECORDED = auto()
    BEFORE_THE_COMMIT = auto()


class Stopped:
    """Transactions of that api: one takes the id, extracted and not stored yet, one records it.

    Args:
        meanwhile: what happens while it is stopped.
    """

    def __init__(
        self, transactions: TransactionRunner, meanwhile: Callable[[], object], moment: Moment
    ) -> None:
        self._transactions = transactions
        self._meanwhile = meanwhile
        self._moment = moment
        self._has_id = False

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        takes_id, self._has_id = not self._has_id, True
        if self._moment is (
            Moment.BEFORE_IT_IS_STORED if takes_id else Moment.BEFORE_IT_IS_RECORDED
        ):
            self._meanwhile()
        if takes_id or self._moment is not Moment.BEFORE_THE_COMMIT:
            return self._transactions.run(work)

        def until_commit(uow: UnitOfWork) -> T:
            result = work(uow)
            self._meanwhile()
            return result

        return self._transactions.run(until_commit)


def contexts(sweeper: Sweeper) -> set[str]:
    return {name for name in sweeper.files() if name.endswith("/context")}


class SweptBefore:
    """An extractor that comes so late that the archive is swept."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    def extract(self, archive: Path, destination: Path) -> None:
        archive.write_bytes(b"PK")
        assert self._sweeper.run().removed
        BuildContextExtractor(ArchiveLimits()).extract(archive, destination)


def test_an_upload_whose_archive_was_swept_is_refused(worker: Worker, sweeper: Sweeper) -> None:
    with pytest.raises(VolumeUnavailable, match="upload it again"):
        worker.installation.upload(extractor=SweptBefore(sweeper))

    assert worker.installation.rows("SELECT * FROM images") == []
    assert list(sweeper.base.glob(".incoming/*")) == []


@pytest.mark.parametrize("moment", [Moment.BEFORE_IT_IS_STORED, Moment.BEFORE_IT_IS_RECORDED])
def test_an_upload_that_was_swept_before_it_is_recorded_is_refused_and_may_be_sent_again(
    worker: Worker, sweeper: Sweeper, moment: Moment
) -> None:
    swept: list[SweepReport] = []
    stopped = Stopped(worker.installation.transactions, lambda: swept.append(sweeper.run()), moment)

    with pytest.raises(VolumeUnavailable, match="upload it again"):
        worker.installation.upload(transactions=stopped)

    assert len(swept[0].removed) == 1
    assert worker.installation.rows("SELECT * FROM images") == []
    assert worker.installation.rows("SELECT * FROM events") == []
    assert contexts(sweeper) == set()
    again = worker.installation.upload()
    assert contexts(sweeper) == {f"user-1/{again}/context"}


def test_an_upload_that_is_just_being_recorded_is_not_swept(
    worker: Worker, sweeper: Sweeper
) -> None:
    swept: list[SweepReport] = []
    stopped = Stopped(
        worker.installation.transactions,
        lambda: swept.append(sweeper.run()),
        Moment.BEFORE_THE_COMMIT,
    )

    image_id = worker.installation.upload(transactions=stopped)

    assert (swept[0].removed, swept[0].kept) == ([], [])
    assert contexts(sweeper) == {f"user-1/{image_id}/context"}
    assert sweeper.run().removed == []


@contextmanager
def taking(
    worker: Worker, sweeper: Sweeper, before: Callable[[Future[int], Callable[[], None]], None]
) -> Iterator[Future[int]]:
    """Let an upload come to be recorded; within, a sweep finds its folder.

    Args:
        before: what happens when the sweep, under its lock, is about to take the folder; is given
            the upload, and what lets it go on.
    """
    set_aside = VolumeStoredFiles.set_aside
    going_on: Future[None] = Future()

    def take(files: VolumeStoredFiles, folder: ImageFolder) -> Upload | None:
        before(upload, lambda: going_on.set_result(None))
        return set_aside(files, folder)

    stopped = Stopped(
        worker.installation.transactions,
        lambda: going_on.result(TIMEOUT),
        Moment.BEFORE_IT_IS_RECORDED,
    )
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(VolumeStoredFiles, "set_aside", take)
        upload = pool.submit(worker.installation.upload, transactions=stopped)
        wait_until(lambda: bool(contexts(sweeper)))
        yield upload


def test_an_upload_that_comes_while_its_folder_is_taken_waits_and_is_refused(
    worker: Worker, sweeper: Sweeper
) -> None:
    def let_it_wait(_: Future[int], go_on: Callable[[], None]) -> None:
        go_on()
        wait_until(lambda: bool(worker.installation.rows(_WAITING)))

    with taking(worker, sweeper, let_it_wait) as upload:
        sweeper.run()
        with pytest.raises(VolumeUnavailable, match="upload it again"):
            upload.result(TIMEOUT)

    assert worker.installation.rows("SELECT * FROM images") == []
    assert contexts(sweeper) == set()


def test_a_sweep_that_lost_its_lock_before_it_took_a_folder_puts_it_back(
    worker: Worker, sweeper: Sweeper
) -> None:
    """Stopped in between, for longer than a transaction may be silent."""

    def lose_lock(upload: Future[int], go_on: Callable[[], None]) -> None:
        worker.installation.rows(_END_HOLDERS)
        wait_until(lambda: not worker.installation.rows(_HOLDERS))
        go_on()
        upload.result(TIMEOUT)

    with taking(worker, sweeper, lose_lock) as upload, pytest.raises(DatabaseUnavailable):
        sweeper.run()

    assert contexts(sweeper) == {f"user-1/{upload.result()}/context"}
    assert sweeper.run().removed == []
